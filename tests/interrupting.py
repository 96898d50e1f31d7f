"""Ctrl-C in the middle of a command, which is a process of its own."""

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

HANDLED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""What the process does first: a test that runs in the background ignores the signal, and so would it."""

COMMAND = f"{HANDLED}; import runpy; runpy.run_module('ollama_pack', run_name='__main__')"


def press_ctrl_c(
    process: "subprocess.Popen[str]", is_ready: Callable[[str], bool], wait: Callable[[], None] = lambda: None
) -> tuple[int, str, str]:
    """Press Ctrl-C when a line of stderr says so, and return exit code, stdout and stderr.

    Args:
        process: the command, whose stdout and stderr are pipes.
        is_ready: returns whether it is time after a line.
        wait: called then, before the keys are pressed.
    """
    told = ""
    try:
        for line in process.stderr or ():
            told += line
            if is_ready(line):
                break
        else:
            raise AssertionError(f"it ended before it was interrupted: {told}")
        wait()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, stdout, told + stderr

"""Runs a script in a process of its own, with limits of memory and processor time where the system has them.

A regular expression or a chat template is a stranger's program. A script beside the caller runs it, and this
file sets the limits before that script begins: ``limited_process.py MEMORY SECONDS SCRIPT``.
"""

import contextlib
import runpy
import signal
import sys
from pathlib import Path


def limited_command(script: str, *, memory: int, seconds: int, bare: bool = False) -> list[str]:
    """Return the command that runs a script within limits.

    Args:
        script: the path of the script.
        memory: the number of bytes that the process may map.
        seconds: the processor time after which the system ends the process.
        bare: whether the script needs the standard library only, so that the process starts sooner.

    Example:
        >>> limited_command("worker.py", memory=1 << 30, seconds=10)[2:]
        ['1073741824', '10', 'worker.py']
    """
    options = ["-I", "-S"] if bare else []
    return [sys.executable, *options, __file__, str(memory), str(seconds), script]


def limit_resources(memory: int, seconds: int) -> None:
    """Limit memory and processor time of this process where the system can."""
    with contextlib.suppress(ImportError):
        import resource

        for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)):
            with contextlib.suppress(OSError, ValueError):
                hard = resource.getrlimit(what)[1]
                resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    # Python put the folder of this file on the path, and a file in it must not hide a library's module.
    sys.path[:] = [place for place in sys.path if Path(place) != Path(__file__).parent]
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C reaches every process of a terminal; the caller decides
    limit_resources(int(sys.argv[1]), int(sys.argv[2]))
    runpy.run_path(sys.argv[3], run_name="__main__")

"""A command on a pseudo-terminal of a certain size: what is typed, what it shows, and how it ends."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

SECONDS = 60
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]")


def take_terminal():
    """Give a new process its terminal, and Ctrl-C its effect, which tests in the background ignore."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class PseudoTerminal:
    """A running command whose standard streams are a terminal.

    Args:
        command: the words of the command.
        env: its environment.
        columns: the width of the terminal.
    """

    def __init__(self, command, env, columns=80, rows=24):
        self.heard, self._read = "", 0
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        own = {key: value for key, value in env.items() if key not in ("CI", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            list(map(str, command)),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=own | {"TERM": "xterm-256color"},
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text):
        """Type a text, in which control characters act as on a keyboard."""
        os.write(self._master, text.encode())

    def until(self, words):
        """Return what is shown from what was waited for before up to some words, which must come."""
        end = time.monotonic() + SECONDS
        while (at := self.heard.find(words, self._read)) < 0:
            assert time.monotonic() < end, f"{words!r} does not come:\n{self.heard}"
            if select.select([self._master], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):  # Linux has this for a terminal that nobody uses any more
                    self.heard += os.read(self._master, 65536).decode("utf-8", "backslashreplace")
            elif self.process.poll() is not None:
                raise AssertionError(f"{words!r} did not come:\n{self.heard}")
        found = self.heard[self._read : at]
        self._read = at + len(words)
        return found

    def end(self, again=""):
        """Return the exit code, once the command has ended and all it shows was read.

        `again` is typed each second until then: a Ctrl-C that comes between a prompt and Python's reading is
        seen by Python only with the next key.
        """
        end, typed = time.monotonic() + SECONDS, time.monotonic()
        while self.process.poll() is None or select.select([self._master], [], [], 0.1)[0]:
            assert time.monotonic() < end, f"it does not end:\n{self.heard}"
            if again and time.monotonic() > typed + 1 and self.process.poll() is None:
                typed = time.monotonic()
                self.type(again)
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self.heard += os.read(self._master, 65536).decode("utf-8", "backslashreplace")
                except OSError:
                    break
        return self.process.wait()


def lines_shown(text):
    """Return the lines of what a terminal showed, without escape sequences."""
    return ESCAPES.sub("", text).replace("\r", "").split("\n")

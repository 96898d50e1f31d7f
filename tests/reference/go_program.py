"""Asks Go's own text/template, through `go_template.go`, what templates make of their data."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix("").parent / "go_template.go"
GO = shutil.which("go")


class GoProgram:
    """The program, compiled into a folder and running until it is closed."""

    def __init__(self, folder):
        binary = Path(folder) / "go_template"
        subprocess.run([GO, "build", "-o", binary, SOURCE], check=True, cwd=folder)
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, case):
        """Return what a template makes, or None if Go reports an error."""
        self.process.stdin.write(json.dumps(case, ensure_ascii=False).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return None if "error" in answer else base64.b64decode(answer["out"] or "")

    def close(self):
        """End the program."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

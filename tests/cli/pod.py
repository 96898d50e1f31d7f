"""Plays Kubernetes' kubelet for one container: its volumes are mounted, and its script is run as it is."""

import os
import shutil
import subprocess

import pytest

# Everything of this machine is there too, since no image can be had; what is mounted lies over it.
_SCRIPT = """
set -e
mount -t tmpfs tmpfs "$ROOT"
for each in /*; do
  if [ -L "$each" ]; then cp -P "$each" "$ROOT/"
  elif [ -d "$each" ]; then mkdir "$ROOT$each"; mount --rbind "$each" "$ROOT$each"
  fi
done
while [ "$1" != -- ]; do
  mkdir -p "$ROOT$1"
  mount --bind "$2" "$ROOT$1"
  [ "$3" = rw ] || mount -o remount,bind,ro "$ROOT$1"
  shift 3
done
shift
exec chroot "$ROOT" "$@"
"""


def run_container(container, volumes, root, environ):
    """Run a container of a pod, with the directories of its volumes by name, and return what became of it.

    Args:
        container: the container of a Job's template.
        volumes: name of a volume → its directory.
        root: an empty directory for the file system of the pod.
        environ: the environment variables that an image would have; those of the container come on top.
    """
    outside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if shutil.which("unshare") is None:
        pytest.skip("NOT TESTED: there is no unshare here")
    if subprocess.run(
        [*outside, f"mount -t tmpfs none '{root}'"], capture_output=True, check=False
    ).returncode:
        pytest.skip("NOT TESTED: mounting in a namespace of one's own is not permitted here")
    mounts = []
    for each in container["volumeMounts"]:
        how = "ro" if each.get("readOnly") else "rw"
        mounts += [each["mountPath"], str(volumes[each["name"]]), how]
    given = {each["name"]: each["value"] for each in container["env"]}
    command = [*outside, _SCRIPT, "sh", *mounts, "--", *container["command"], *container["args"]]
    return subprocess.run(
        command, env={**environ, **given, "ROOT": os.fspath(root)},
        cwd="/", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

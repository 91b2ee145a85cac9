"""Reads orders.csv, keeps the good rows of one day, and hands on where they are."""
import csv
import json
import os
import pathlib

day, out = os.environ["day"], pathlib.Path(os.environ["out"])
out.mkdir(parents=True, exist_ok=True)


def good(row):
    try:
        return row["customer"] and row["region"] and int(row["quantity"]) > 0 and float(row["price"]) > 0
    except ValueError:
        return False


with open("orders.csv", newline="") as f:
    rows = [r for r in csv.DictReader(f) if r["ordered_at"].startswith(day)]
kept = [r for r in rows if good(r)]
staged = out / f"staged-{day}.json"
staged.write_text(json.dumps(kept))

rejected = len(rows) - len(kept)
print(f"{day}: {len(rows)} rows, {rejected} rejected")
with open(os.environ["BATON_OUTPUT"], "w") as f:
    json.dump({
        "staged": str(staged),
        "rejected": rejected,
        "rejected_percent": round(100 * rejected / len(rows), 1) if rows else 0,
    }, f)

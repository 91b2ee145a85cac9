"""Pays what payments.csv lists."""
import csv
import json
import os

import ledger

fence, month = int(os.environ["BATON_FENCE"]), os.environ["month"]
book = ledger.open_book(os.environ["out"])
ledger.enter(book, fence)
total = paid = 0
with open("payments.csv", newline="") as f:
    for row in csv.DictReader(f):
        cents = round(float(row["amount"]) * 100)
        ledger.pay(book, fence, row["payment_id"], month, row["payee"], cents)
        print(f"{row['payment_id']} {row['payee']}: {row['amount']} {row['currency']}")
        paid, total = paid + 1, total + cents
with open(os.environ["BATON_OUTPUT"], "w") as f:
    json.dump({"paid": paid, "total": f"{total / 100:.2f}", "fence": str(fence)}, f)

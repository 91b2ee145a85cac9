"""Replaces one day of orders in SQLite, all of it or nothing."""
import json
import os
import pathlib
import sqlite3

day = os.environ["day"]
rows = json.loads(pathlib.Path(os.environ["STAGED"]).read_text())
db = sqlite3.connect(os.path.join(os.environ["out"], "shop.db"), timeout=30)
with db:
    db.execute("""create table if not exists orders (order_id integer primary key, day text not null, ordered_at text not null,
        customer text not null, region text not null, product text not null, quantity integer not null, price real not null)""")
    db.execute("delete from orders where day = ?", (day,))
    db.executemany("insert into orders values (?, ?, ?, ?, ?, ?, ?, ?)", [
        (int(r["order_id"]), day, r["ordered_at"], r["customer"], r["region"], r["product"], int(r["quantity"]), float(r["price"]))
        for r in rows
    ])
print(f"loaded {len(rows)} orders of {day}")

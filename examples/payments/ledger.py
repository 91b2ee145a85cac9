"""A ledger with a fence: it remembers the greatest token it has seen and refuses older ones."""
import os
import sqlite3


class Fenced(Exception):
    pass


def open_book(out):
    os.makedirs(out, exist_ok=True)
    book = sqlite3.connect(os.path.join(out, "ledger.db"), timeout=30, isolation_level=None)
    book.execute("create table if not exists fence (one integer primary key check (one = 1), token integer not null)")
    book.execute("create table if not exists paid (payment_id text, month text, payee text, cents integer, token integer, primary key (payment_id, month))")
    return book


def enter(book, token):
    """Everyone announces its token first; from then on older ones are refused."""
    book.execute("insert into fence values (1, ?) on conflict (one) do update set token = max(token, excluded.token)", (token,))


def pay(book, token, payment, month, payee, cents):
    """One transaction: check the fence, write the payment. Written before: nothing happens."""
    book.execute("begin immediate")
    try:
        (seen,) = book.execute("select token from fence").fetchone()
        if token < seen:
            raise Fenced(f"token {token} is older than {seen}")
        book.execute("insert into paid values (?, ?, ?, ?, ?) on conflict do nothing", (payment, month, payee, cents, token))
        book.execute("commit")
    except BaseException:
        book.execute("rollback")
        raise

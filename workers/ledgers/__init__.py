"""The side that owns the stock: the rules, the ledgers, the lock, the hand-off, the pool."""

"""The web side of soldout: HTTP in, commands out; reads the ledger, never writes it."""

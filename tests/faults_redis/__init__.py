"""What must hold when workers, webs, hosts, wires and Redis itself fail: real processes, real servers."""

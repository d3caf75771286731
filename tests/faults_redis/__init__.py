"""What must hold when workers, webs, hosts, wires and Redis fail: real processes, real servers."""

"""The real bridge over databases in memory, on a scripted loop with virtual time, with every fault."""

"""The whole walk of a presence event, simulated: real pure files between modelled engines, with every fault."""

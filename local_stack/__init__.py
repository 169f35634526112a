"""The whole system on one machine: engines, origin, demo people. The product never imports it."""

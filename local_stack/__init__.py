"""The whole system on one machine: Neo4j, Valkey, PubNub origin, demo users. The product never imports it."""

"""A PubNub-compatible server on one machine: a development and test double that shares no code with PubNub's SDKs.

From the top: `cli` and `__main__`; `app` (composition, one handler of every request); the families of endpoints
(`subscribe`, `publish`, `presence_api`, `*_api`, `control`, `unserved`, `webhooks`); what they share (`call`, `reply`,
`router`, `permission`, `keyset`); the pure state (`channels`, `presence`, `history`, ...) that takes time as an argument.

Imports: no other room.
"""

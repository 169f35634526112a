"""Read-only views of a running bridge: console, accuracy, the count of users online, CPU load.

In: what the stages report. Out: figures; nothing here changes a state.
Imports: `debounce`, `errors`, `metrics`, `pubnub_api`, `settings`, `store`.
"""

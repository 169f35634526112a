"""``friends-presence doctor``: what is right and wrong with the keys, the engines and the options, and what to do.

Each file asks one outside world; ``examine`` puts the findings in order. Knows no route and no row of the walk.

Imports: `pubnub_api`, `runtime`, `settings`.
"""

"""``friends-presence doctor``: what is right and wrong with settings, databases and PubNub, and how to fix it.

In: settings. Out: findings, each with a remedy. Each file checks one outside system; `examine` puts the findings in
order. It changes nothing but its own test users on its own test channel.

Imports: `pubnub_api`, `runtime`, `settings`.
"""

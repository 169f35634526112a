"""What the operator's console is told: figures of every bridge, put together, and who looked.

Knows no route and no row of the walk; ``console_routes`` serves what is here.
"""

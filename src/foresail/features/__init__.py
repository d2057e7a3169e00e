"""Features: catalogue, compiled steps, batch and live drivers, targets, scaling.

``catalogue`` says what exists, ``batch.compute`` runs history, ``live.LiveDriver`` runs one bar at a time with the
same compiled loop, ``targets`` alone may look ahead.
"""

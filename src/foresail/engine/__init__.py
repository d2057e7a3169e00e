"""The fold: event order, drivers, walk-forward, comparators. The only place that knows the order of the stages."""

"""What confidence is worth on labelled answers: figures with intervals, for a table or a report."""

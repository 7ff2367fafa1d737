"""What goes over the sidecar's wire: bodies and headers in, answers, chunks and errors out."""

"""The front door of a product: events and labels made durable, predictions in micro-batches."""

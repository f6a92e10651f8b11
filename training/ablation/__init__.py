"""The method's parts taken away one by one, each trained and judged at the same small budget."""

"""The store on PostgreSQL: the same statements and checks as on SQLite, over connections of its own."""

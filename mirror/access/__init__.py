"""Who may do what: roles and their rights, and how a token is made and recognised."""

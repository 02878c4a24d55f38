"""Process 3: the dispatch page. It shows what the controller decided and passes on what people ask.

Nothing here decides: roles and second names are judged in the core. This room knows who is
logged in, which terminal asks, and how to keep a page truthful when data stop.
"""

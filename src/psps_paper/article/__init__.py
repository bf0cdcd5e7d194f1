"""The article as data: its published network, its studies, and what public pages add to them."""

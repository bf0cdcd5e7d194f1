"""The article as data: its published network, its studies, and facts about them from public pages."""

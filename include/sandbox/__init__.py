"""Emulators of Marketo and the Dataverse Web API, faithful to the wire, for people without an instance.

The sandbox knows nothing of the sync engine: it answers as the real services do, or are
documented to do, and an assumption stands next to the code that makes it.
"""

"""The app under `/leadsync`: the console, for those who may see the DAG.

The pages hold personal data, so each needs a login (Airflow's cookie or bearer token) and the right to read
`lead_sync`. They are shown under a policy that lets them run no script and load nothing from elsewhere.
"""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.responses import Response

from leadsync_console import failing
from leadsync_console.access import from_here, may_read
from leadsync_console.page import STYLE
from leadsync_console.views import collisions, errors, fields, held, person, requests, runs, status

_STYLE_HEADERS = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}


def build() -> FastAPI:
    """The app; all its routes are guarded but the stylesheet, which the page that asks for a login needs as well."""
    app = FastAPI(title="Lead Sync", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/style.css")
    def style() -> Response:
        """The one stylesheet; its address changes with it."""
        return Response(STYLE, media_type="text/css", headers=_STYLE_HEADERS)

    for view in (status, errors, collisions, person, runs, held, requests, fields):
        app.include_router(view.router, dependencies=[Depends(may_read), Depends(from_here)])
    failing.install(app)
    return app

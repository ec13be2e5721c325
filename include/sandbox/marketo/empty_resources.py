"""Resources that the sandbox has nothing for: they answer as an empty instance would (appendix B; vendor pages).

Smart lists, campaigns, e-mails, forms, custom objects and named account lists play no part in a sync.
"""

from __future__ import annotations

from include.sandbox.marketo.asset_answers import assets, not_blank, slice_of
from include.sandbox.marketo.identity import ASSETS, Permission
from include.sandbox.marketo.instance import Instance
from include.sandbox.marketo.person_reading import LEAD
from include.sandbox.marketo.routes import Body, Route
from include.sandbox.marketo.wire import Call, Refusal, Reply

KINDS = (
    "smartList", "smartCampaign", "email", "emailTemplate", "form", "landingPage", "landingPageTemplate", "snippet",
    "file", "tagType",
)  # fmt: skip
"""Kinds of assets with the usual three reads: by id, by name, all."""
CAMPAIGN = (Permission.EXECUTE_CAMPAIGN,)
CUSTOM = (Permission.READ_CUSTOM_OBJECT, Permission.WRITE_CUSTOM_OBJECT)
ACCOUNT_LIST = (Permission.READ_NAMED_ACCOUNT, Permission.WRITE_NAMED_ACCOUNT)


class EmptyResources:
    """Their reads find nothing; what would act on one of them does not find it (1013)."""

    def __init__(self, instance: Instance) -> None:
        """Keep the instance."""
        self._at = instance

    def routes(self) -> list[Route]:
        """Its resources."""
        asset, one, things = "/rest/asset/v1", "/rest/v1/campaigns/{id}", "/rest/v1/customobjects"
        reads = [
            route
            for kind in KINDS
            for route in (
                Route("GET", f"{asset}/{kind}s.json", self.no_assets, ASSETS),
                Route("GET", f"{asset}/{kind}/byName.json", self.no_asset_named, ASSETS),
                Route("GET", f"{asset}/{kind}/{{id}}.json", self.no_asset, ASSETS),
            )
        ]
        return [
            *reads,
            Route("GET", f"{asset}/segmentation.json", self.no_assets, ASSETS),
            Route("GET", f"{asset}/folder/{{id}}/tokens.json", self.no_asset, ASSETS),
            Route("GET", "/rest/v1/campaigns.json", self.none, (*LEAD, *ASSETS, *CAMPAIGN)),
            Route("GET", f"{one}.json", self.no_campaign, (*LEAD, *ASSETS, *CAMPAIGN)),
            Route("POST", f"{one}/trigger.json", self.no_campaign, CAMPAIGN, Body.OPTIONAL_JSON),
            Route("POST", f"{one}/schedule.json", self.no_campaign, CAMPAIGN, Body.OPTIONAL_JSON),
            Route("GET", f"{things}.json", self.none, CUSTOM),
            Route("GET", f"{things}/schema.json", self.none, CUSTOM),
            Route("GET", f"{things}/{{name}}.json", self.no_object, CUSTOM),
            Route("POST", f"{things}/{{name}}.json", self.no_object, CUSTOM, Body.JSON),
            Route("POST", f"{things}/{{name}}/delete.json", self.no_object, CUSTOM, Body.JSON),
            Route("GET", f"{things}/{{name}}/describe.json", self.no_object, CUSTOM),
            Route("GET", "/rest/v1/namedAccountLists.json", self.none_filtered, ACCOUNT_LIST),
            Route("GET", "/rest/v1/namedAccountList/{id}/namedAccounts.json", self.no_object, ACCOUNT_LIST),
        ]

    def no_assets(self, call: Call) -> Reply:
        """No asset of this kind."""
        slice_of(call)
        return assets([])

    def no_asset_named(self, call: Call) -> Reply:
        """No asset of this name."""
        not_blank(call, "name")
        return assets([])

    def no_asset(self, call: Call) -> Reply:
        """No asset of this id."""
        call.place("id")
        return assets([])

    def none(self, call: Call) -> Reply:
        """An empty list."""
        call.batch_size()
        return Reply([])

    def none_filtered(self, call: Call) -> Reply:
        """An empty list, the filter being there."""
        call.required("filterType")
        if not call.many("filterValues"):
            raise Refusal("1003", "filterValues not specified")
        return Reply([])

    def no_campaign(self, call: Call) -> Reply:
        """No campaign of this id."""
        call.place("id")
        raise Refusal("1013", "Campaign not found")

    def no_object(self, _call: Call) -> Reply:
        """No such object type."""
        raise Refusal("1013", "Object not found")

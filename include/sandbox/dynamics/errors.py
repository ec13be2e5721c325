"""The errors the service answers: HTTP status, hexadecimal code, message (dataverse-api.md 11)."""

from __future__ import annotations

ODATA = "0x80060888"
SYNTAX = "0x8006088a"
PAYLOAD = "0x80048d19"


class ServiceError(Exception):
    """A refusal that becomes an error answer. `code` is the text of the body's `code` member."""

    def __init__(self, status: int, code: str, message: str, headers: list[tuple[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or []


def missing_row(table: str, row_id: str) -> ServiceError:
    """404 for a key that no row has (V24)."""
    return ServiceError(404, "0x80040217", f"Entity '{table}' With Id = {row_id} Does Not Exist")


def missing_alternate_row(table: str) -> ServiceError:
    """404 for an alternate key that no row has (V45)."""
    return ServiceError(404, "0x80060891", f"A record with the specified key values does not exist in {table} entity")


def unknown_property(name: str, table: str) -> ServiceError:
    """400 for a column that the table lacks, in a query (V13)."""
    text = f"Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{table}'."
    return ServiceError(400, ODATA, text)


def unknown_segment(name: str) -> ServiceError:
    """404 for an unknown entity set or path segment (V9)."""
    return ServiceError(404, ODATA, f"Resource not found for the segment '{name}'.")


def no_route(url: str) -> ServiceError:
    """404 with an empty code, as routing answers it (section 11.2)."""
    return ServiceError(404, "", f"No HTTP resource was found that matches the request URI '{url}'.")


def method_not_allowed(method: str, *allowed: str) -> ServiceError:
    """405 for a method that the resource does not take; `Allow` names those that it takes (V9, section 2.2)."""
    text = f"The requested resource does not support http method '{method}'."
    return ServiceError(405, "0x0", text, [("Allow", ",".join(allowed or ("GET",)))])


def bad_query(message: str) -> ServiceError:
    """400 for what the query options say."""
    return ServiceError(400, ODATA, message)


def bad_payload(entity_set: str, detail: str) -> ServiceError:
    """400 for a body that does not fit the model (section 11.2)."""
    text = (
        f"Error identified in Payload provided by the user for Entity :'{entity_set}', For more information on this "
        "error please follow this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  "
        f"InnerException : {detail}"
    )
    return ServiceError(400, PAYLOAD, text)


def invalid_property(entity_set: str, table: str, name: str) -> ServiceError:
    """400 for a body member that the table lacks (V34)."""
    detail = (
        f"Microsoft.Crm.CrmException: Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{table}'. "
        "---> Microsoft.OData.ODataException: Does not support untyped value in non-open type."
    )
    return bad_payload(entity_set, detail)


def undeclared_property(entity_set: str, name: str) -> ServiceError:
    """400 for a bind by anything but a navigation property (V44)."""
    detail = (
        f"Microsoft.OData.ODataException: An undeclared property '{name}' which only has property annotations in the "
        "payload but no property value was found in the payload. In OData, only declared navigation properties and "
        "declared named streams can be represented as properties without values."
    )
    return bad_payload(entity_set, detail)


def duplicate_key() -> ServiceError:
    """412 for a key that exists already (V32, V41)."""
    return ServiceError(412, "0x80040237", "A record with matching key values already exists.")


def wrong_media_type(media_type: str) -> ServiceError:
    """415 for a body that is no JSON."""
    # Assumption: bodies of another type are refused in the words of the web framework; a missing type is taken as JSON.
    return ServiceError(415, "", f"The request entity's media type '{media_type}' is not supported for this resource.")


def too_large() -> ServiceError:
    """413 for a body over the limit (section 2.3)."""
    return ServiceError(413, "0x8004418A", "The request message is too large.")


def stale_version() -> ServiceError:
    """412 for an etag that is not the row's (V41)."""
    text = "The version of the existing record doesn't match the RowVersion property provided."
    return ServiceError(412, "0x80060882", text)


def missing_privilege(user: str, privilege: tuple[str, str], table: str, type_code: int) -> ServiceError:
    """403 naming the privilege, given by name and id (V5)."""
    name, privilege_id = privilege
    text = (
        f"Principal user (Id={user}, type=8) is missing {name} privilege (Id={privilege_id}) on OTC={type_code} "
        f"for entity '{table}'."
    )
    return ServiceError(403, "0x80040220", text)


def secured_column(verb: str) -> ServiceError:
    """403 for a value of a secured column without field permission; `verb` is create or update (section 11)."""
    if verb == "create":
        text = "The user does not have create permissions to a secured field. The requested operation could not be "
        return ServiceError(403, "0x8004F502", f"{text}completed.")
    text = "The user doesn't have AttributePrivilegeUpdate and not granted shared access for a secured attribute "
    return ServiceError(403, "0x8004F507", f"{text}during update operation")


def expired_delta_token() -> ServiceError:
    """400 for a delta token that is too old (V29; the status is open point O1)."""
    text = "Version stamp associated with the client has expired. Please perform a full sync."
    return ServiceError(400, "0x80044352", text)


def unsupported_message(message: str, table: str) -> ServiceError:
    """400 for a message that a table does not take: activities are written by their own kind.

    Assumption: the facts name no code; this is the vendor's NotSupported with the text of its message processor.
    """
    return ServiceError(400, "0x80040800", f"The '{message}' method does not support entities of type '{table}'.")

"""What Zoho's own library reads from a CRM, as JSON; runs in an environment of its own: ADDRESS FOLDER KEYS DEAL."""

import io
import json
import sys
import zipfile

from zohocrmsdk.src.com.zoho.api.authenticator.oauth_token import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.crm.api import HeaderMap, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.bulk_read import BodyWrapper, BulkReadOperations, Query
from zohocrmsdk.src.com.zoho.crm.api.coql import BodyWrapper as QueryBody
from zohocrmsdk.src.com.zoho.crm.api.coql import CoqlOperations
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.fields import FieldsOperations, GetFieldsParam
from zohocrmsdk.src.com.zoho.crm.api.initializer import Initializer
from zohocrmsdk.src.com.zoho.crm.api.modules import MinifiedModule
from zohocrmsdk.src.com.zoho.crm.api.record import GetDeletedRecordsParam, GetRecordsParam, RecordOperations
from zohocrmsdk.src.com.zoho.crm.api.related_records import GetRelatedRecordsParam, RelatedRecordsOperations
from zohocrmsdk.src.com.zoho.crm.api.territories import TerritoriesOperations
from zohocrmsdk.src.com.zoho.crm.api.users import UsersOperations
from zohocrmsdk.src.com.zoho.crm.api.util import Choice


def params(*given):
    made = ParameterMap()
    for param, value in given:
        made.add(param, value)
    return made


def plain(value):
    return value.get_value() if isinstance(value, Choice) else value


def all_deals():
    deals, token = [], None
    while True:
        wish = [(GetRecordsParam.fields, "Deal_Name,Stage,Amount"), (GetRecordsParam.per_page, 5)]
        wish += [(GetRecordsParam.page_token, token)] if token else []
        page = RecordOperations("Deals").get_records(params(*wish), HeaderMap()).get_object()
        deals += [
            [str(r.get_id()), plain(r.get_key_value("Stage")), r.get_key_value("Amount")] for r in page.get_data()
        ]
        if not page.get_info().get_more_records():
            return deals
        token = page.get_info().get_next_page_token()


def deleted():
    wish = params((GetDeletedRecordsParam.type, "all"))
    return [
        str(d.get_id())
        for d in RecordOperations("Deals").get_deleted_records(wish, HeaderMap()).get_object().get_data()
    ]


def stages_of(deal):
    history = RelatedRecordsOperations("Stage_History", "Deals")
    wish = params((GetRelatedRecordsParam.fields, "Stage,Modified_Time"))
    found = history.get_related_records(int(deal), wish, HeaderMap()).get_object().get_data()
    return [plain(period.get_key_value("Stage")) for period in found]


def outcomes():
    fields = FieldsOperations().get_fields(params((GetFieldsParam.module, "Deals"))).get_object().get_fields()
    stage = next(f for f in fields if f.get_api_name() == "Stage")
    return {p.get_display_value(): plain(p.get_forecast_type()) for p in stage.get_pick_list_values()}


def queried(text):
    body = QueryBody()
    body.set_select_query(text)
    found = CoqlOperations().get_records(body).get_object().get_data()
    return [[str(r.get_id()), plain(r.get_key_value("Stage"))] for r in found]


def filed():
    wish, query, module = BodyWrapper(), Query(), MinifiedModule()
    module.set_api_name("Deals")
    query.set_module(module)
    query.set_fields(["Stage", "Amount"])
    query.set_page(1)
    wish.set_query(query)
    files = BulkReadOperations()
    job = int(files.create_bulk_read_job(wish).get_object().get_data()[0].get_details()["id"])
    assert plain(files.get_bulk_read_job_details(job).get_object().get_data()[0].get_state()) == "COMPLETED"
    stream = files.download_result(job).get_object().get_file().get_stream()
    archive = zipfile.ZipFile(io.BytesIO(stream.content if hasattr(stream, "content") else stream.read()))
    return archive.read(archive.namelist()[0]).decode().splitlines()


def main(address, folder, keys, deal):
    Initializer.initialize(
        environment=DataCenter.Environment(address, f"{address}/oauth/v2/token", address),
        token=OAuthToken(**json.loads(keys)),
        store=FileStore(f"{folder}/tokens.txt"),
        resource_path=folder,
    )
    users = UsersOperations().get_users(ParameterMap(), HeaderMap()).get_object().get_users()
    territories = TerritoriesOperations().get_territories(ParameterMap()).get_object().get_territories()
    found = {
        "deals": all_deals(),
        "deleted": deleted(),
        "stages": stages_of(deal),
        "outcomes": outcomes(),
        "users": [u.get_full_name() for u in users],
        "territories": [t.get_name() for t in territories],
        "queried": queried(f"select Stage, Amount from Deals where id > {deal} order by id asc limit 2000"),
        "filed": filed(),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

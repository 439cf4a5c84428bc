"""One valid body of each kind, small, in the published shape with own values."""

from __future__ import annotations

from typing import Any

TIME = "2026-10-12T12:00:00+08:00"


def subject(**description: Any) -> dict[str, Any]:
    return {
        "subject_information": {
            "basic_information_subject": {
                "general_information_subject": {
                    "subject_id": "",
                    "subject_type": 1,
                    "subject_main_administrative_region": 1,
                    "subject_create_time": TIME,
                },
                "subject_qualification_information": [],
            },
            "organization_subject_information": {
                "basic_information_of_enterprise": {
                    "basic_information_description": {
                        "subject_company_name": "示例实业股份有限公司",
                        "subject_shareholders_number": 3,
                        **description,
                    },
                    "leading_member_information": [],
                }
            },
            "personal_subject_information": {},
        }
    }


def person() -> dict[str, Any]:
    body = subject()
    inner = body["subject_information"]
    inner["basic_information_subject"]["general_information_subject"]["subject_type"] = 2
    inner["organization_subject_information"] = {}
    inner["personal_subject_information"] = {
        "personal_subject_basic_information": {
            "subject_investor_name": "某甲",
            "subject_id_type": 1,
            "subject_id_number": "X0001",
        }
    }
    return body


def account() -> dict[str, Any]:
    return {
        "account_information": {
            "basic_account_information": {
                "account_subject_ref": "subject-1/0",
                "account_depository_ref": "subject-9/2",
                "account_type": 1,
                "account_purpose": [0, 1],
                "account_status": 1,
                "account_create_time": TIME,
            },
            "account_cycle_information": {
                "account_opening_information": {"account_opening_doc": []},
                "account_cancellation_information": {"account_closing_doc": []},
                "freeze_information": {"account_frozen_doc": []},
                "unfreezing_information": {"account_thaw_doc": []},
            },
        }
    }


def product() -> dict[str, Any]:
    return {
        "product_information": {
            "essential_information": {
                "basic_product_information": {
                    "product_trading_market_category": 0,
                    "product_market_subject_ref": "subject-9/2",
                    "product_market_subject_name": "示例股权交易中心",
                    "product_issuer_subject_ref": "subject-1/0",
                    "product_issuer_name": "示例实业股份有限公司",
                    "product_code": "100001",
                    "product_name": "示例股份",
                    "product_type": 0,
                    "product_create_time": TIME,
                },
                "service_provider_information": [],
                "product_file_information": [],
            },
            "release_information": {
                "filing_information": [],
                "equity_issue_information": {"product_shares_issued_class": [0]},
                "private_convertible_bonds": {},
            },
        }
    }


def transactionreport() -> dict[str, Any]:
    return {
        "transaction_report_information": {
            "basic_transaction_information": {
                "basic_information_remark": {
                    "transaction_market_type": 1,
                    "transaction_type": 1,
                    "transaction_method": 1,
                    "transaction_create_time": TIME,
                },
                "trading_asset_information": {"asset_custody_state": {"transaction_product_custody_status": 1}},
            },
            "transaction_intermediary_information": [],
        }
    }


def registration() -> dict[str, Any]:
    return {
        "registration_information": {
            "register_basic_information": {"register_object_type": 1, "register_event_type": 2},
            "registration_rights": {
                "basic_information_rights": {
                    "basic_information_description": {
                        "register_time": TIME,
                        "register_subject_ref": "subject-1/0",
                        "register_subject_type": 1,
                        "register_subject_account_ref": "account-1/0",
                        "register_asset_type": 0,
                        "register_asset_unit": 0,
                        "register_asset_currency": "156",
                        "register_product_ref": "product-1/0",
                        "register_create_time": TIME,
                    },
                    "available_registration": {"register_asset_balance_change": "12.5"},
                    "description_status_information": {"register_source_type": 1},
                }
            },
            "roll_records": {},
        }
    }


def settlement() -> dict[str, Any]:
    return {
        "capital_settlement_information": {
            "basic_information_capital_settlement": {
                "settlement_type": 1,
                "settlement_currency": "156",
                "settlement_value": 1000.5,
                "settlement_information_maintenance_time": TIME,
            }
        }
    }


def infodisclosure() -> dict[str, Any]:
    return {
        "disclosure_approval_information": {
            "disclosure_basic_information": {
                "disclosure_subject_ref": "subject-1/0",
                "disclosure_type": 5,
                "disclosure_submit_type": 1,
                "disclosure_submit_date": "2026-10-12",
            },
            "disclosure_notice": [
                {
                    "disclosure_announcement_type": 1,
                    "disclosure_announcement_name": "公告",
                    "disclosure_announcement_description": "",
                    "disclosure_announcement_date": "2026-10-12",
                    "disclosure_announcement_doc": [{"file_name": "a.pdf", "term_of_validity": "2020/04/18"}],
                }
            ],
        }
    }


BODIES = {
    "subject": subject(),
    "account": account(),
    "product": product(),
    "transactionreport": transactionreport(),
    "registration": registration(),
    "settlement": settlement(),
    "infodisclosure": infodisclosure(),
    "financial_statements": {"anything": [1, 2]},
    "supervision": {},
}

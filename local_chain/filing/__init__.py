"""Filing templates 合约模板备案: the author's and the approver's tools (docs/spec/templates.md §4)."""

"""The 35 regional equity markets by region code (JR/T 0326-2024 table 1; chain labels: JR/T 0325-2024 table 2)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """One market: its region in Chinese and English, the DID chain label, its operating institution (运营机构)."""

    code: str
    zh: str
    en: str
    label: str
    operator: str


REGIONS: dict[str, Region] = {
    row[0]: Region(*row)
    for row in (
        ("BJ", "北京", "Beijing", "beijing", "北京股权交易中心有限公司"),
        ("TJ", "天津", "Tianjin", "tianjin", "天津滨海柜台交易市场股份公司"),
        ("HE", "河北", "Hebei", "hebei", "雄安股权交易所股份有限公司"),
        ("SX", "山西", "Shanxi", "shanxi", "山西股权交易中心有限公司"),
        ("NM", "内蒙古", "Inner Mongolia", "neimenggu", "内蒙古股权交易中心股份有限公司"),
        ("LN", "辽宁", "Liaoning", "liaoning", "辽宁股权交易中心股份有限公司"),
        ("JL", "吉林", "Jilin", "jilin", "吉林股权交易所股份有限公司"),
        ("HL", "黑龙江", "Heilongjiang", "heilongjiang", "黑龙江股权交易中心有限责任公司"),
        ("SH", "上海", "Shanghai", "shanghai", "上海股权托管交易中心股份有限公司"),
        ("JS", "江苏", "Jiangsu", "jiangsu", "江苏股权交易中心有限责任公司"),
        ("ZJ", "浙江", "Zhejiang", "zhejiang", "浙江股权服务集团有限公司"),
        ("AH", "安徽", "Anhui", "anhui", "安徽省股权托管交易中心有限责任公司"),
        ("FJ", "福建", "Fujian", "fujian", "海峡股权交易中心（福建）有限公司"),
        ("JX", "江西", "Jiangxi", "jiangxi", "江西联合股权交易中心股份有限公司"),
        ("SD", "山东", "Shandong", "shandong", "齐鲁股权交易中心有限公司"),
        ("HA", "河南", "Henan", "henan", "中原股权交易中心股份有限公司"),
        ("HB", "湖北", "Hubei", "hubei", "武汉股权托管交易中心有限公司"),
        ("HN", "湖南", "Hunan", "hunan", "湖南股权交易所有限公司"),
        ("GD", "广东", "Guangdong", "guangdong", "广东股权交易中心股份有限公司"),
        ("GX", "广西", "Guangxi", "guangxi", "广西北部湾股权交易所股份有限公司"),
        ("HI", "海南", "Hainan", "hainan", "海南股权交易中心有限责任公司"),
        ("CQ", "重庆", "Chongqing", "chongqing", "重庆股份转让中心有限责任公司"),
        ("SC", "四川", "Sichuan", "sichuan", "天府（四川）联合股权交易中心股份有限公司"),
        ("GZ", "贵州", "Guizhou", "guizhou", "贵州股权交易中心有限公司"),
        ("YN", "云南", "Yunnan", "yunnan", "云南省股权交易中心有限公司"),
        ("SN", "陕西", "Shaanxi", "shaanxi", "陕西股权交易中心股份有限公司"),
        ("GS", "甘肃", "Gansu", "gansu", "甘肃股权交易中心股份有限公司"),
        ("QH", "青海", "Qinghai", "qinghai", "青海股权交易中心有限公司"),
        ("NX", "宁夏", "Ningxia", "ningxia", "宁夏股权托管交易中心（有限公司）"),
        ("XJ", "新疆", "Xinjiang", "xinjiang", "新疆股权交易中心有限公司"),
        ("SZX", "深圳", "Shenzhen", "shenzhen", "深圳前海股权交易中心有限公司"),
        ("DLC", "大连", "Dalian", "dalian", "大连股权交易中心股份有限公司"),
        ("NGB", "宁波", "Ningbo", "ningbo", "宁波股权交易中心有限公司"),
        ("XMN", "厦门", "Xiamen", "xiamen", "厦门两岸股权交易中心有限公司"),
        ("TAO", "青岛", "Qingdao", "qingdao", "青岛蓝海股权交易中心有限责任公司"),
    )
}

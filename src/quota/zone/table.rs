// SPDX-License-Identifier: Apache-2.0
//! The table of zones, from version 2026f of IANA's database, aliases and all. Each row has a rule and the names of its zones, with `STD` and
//! `DST` for the abbreviations, of which nothing is made here.
//!
//! The rules are the footers of the database's files (RFC 9636 section 3.3). `rustfmt` lays out what this prints with the package
//! `tzdata` 2026.6 of PyPI:
//!
//! ```python
//! import collections, importlib.resources, re, textwrap, tzdata
//! files, rules = importlib.resources.files("tzdata"), collections.defaultdict(list)
//! for name in sorted(set((files / "zones").read_text().split()) - {"Factory"}):
//!     footer = (files / "zoneinfo" / name).read_bytes().split(b"\n")[-2].decode()
//!     clocks, *changes = footer.split(",", 1)
//!     names = iter(["STD", "DST"])
//!     rules[",".join([re.sub("<[^>]*>|[A-Za-z]+", lambda _: next(names), clocks)] + changes)].append(name)
//! for rule, names in sorted(rules.items()):
//!     print(f'    (rule("{rule}"), "' + " \\\n         ".join(textwrap.wrap(" ".join(names), 125)) + '"),')
//! ```

use super::rule::{Rule, rule};

/// Rules, and the names that have each, with a space between.
pub(super) static ZONES: &[(Rule, &str)] = &[
    (
        rule("STD-1"),
        "Africa/Algiers Africa/Bangui Africa/Brazzaville Africa/Douala Africa/Kinshasa Africa/Lagos Africa/Libreville Africa/Luanda \
         Africa/Malabo Africa/Ndjamena Africa/Niamey Africa/Porto-Novo Africa/Tunis Etc/GMT-1",
    ),
    (
        rule("STD-10"),
        "Antarctica/DumontDUrville Asia/Ust-Nera Asia/Vladivostok Australia/Brisbane Australia/Lindeman Australia/Queensland \
         Etc/GMT-10 Pacific/Chuuk Pacific/Guam Pacific/Port_Moresby Pacific/Saipan Pacific/Truk Pacific/Yap",
    ),
    (rule("STD-10:30DST-11,M10.1.0,M4.1.0"), "Australia/LHI Australia/Lord_Howe"),
    (
        rule("STD-10DST,M10.1.0,M4.1.0/3"),
        "Antarctica/Macquarie Australia/ACT Australia/Canberra Australia/Currie Australia/Hobart Australia/Melbourne Australia/NSW \
         Australia/Sydney Australia/Tasmania Australia/Victoria",
    ),
    (
        rule("STD-11"),
        "Asia/Magadan Asia/Sakhalin Asia/Srednekolymsk Etc/GMT-11 Pacific/Bougainville Pacific/Efate Pacific/Guadalcanal \
         Pacific/Kosrae Pacific/Noumea Pacific/Pohnpei Pacific/Ponape",
    ),
    (rule("STD-11DST,M10.1.0,M4.1.0/3"), "Pacific/Norfolk"),
    (
        rule("STD-12"),
        "Asia/Anadyr Asia/Kamchatka Etc/GMT-12 Kwajalein Pacific/Fiji Pacific/Funafuti Pacific/Kwajalein Pacific/Majuro Pacific/Nauru \
         Pacific/Tarawa Pacific/Wake Pacific/Wallis",
    ),
    (rule("STD-12:45DST,M9.5.0/2:45,M4.1.0/3:45"), "NZ-CHAT Pacific/Chatham"),
    (rule("STD-12DST,M9.5.0,M4.1.0/3"), "Antarctica/McMurdo Antarctica/South_Pole NZ Pacific/Auckland"),
    (rule("STD-13"), "Etc/GMT-13 Pacific/Apia Pacific/Enderbury Pacific/Fakaofo Pacific/Kanton Pacific/Tongatapu"),
    (rule("STD-14"), "Etc/GMT-14 Pacific/Kiritimati"),
    (
        rule("STD-1DST,M3.5.0,M10.5.0/3"),
        "Africa/Ceuta Arctic/Longyearbyen Atlantic/Jan_Mayen CET Europe/Amsterdam Europe/Andorra Europe/Belgrade Europe/Berlin \
         Europe/Bratislava Europe/Brussels Europe/Budapest Europe/Busingen Europe/Copenhagen Europe/Gibraltar Europe/Ljubljana \
         Europe/Luxembourg Europe/Madrid Europe/Malta Europe/Monaco Europe/Oslo Europe/Paris Europe/Podgorica Europe/Prague \
         Europe/Rome Europe/San_Marino Europe/Sarajevo Europe/Skopje Europe/Stockholm Europe/Tirane Europe/Vaduz Europe/Vatican \
         Europe/Vienna Europe/Warsaw Europe/Zagreb Europe/Zurich MET Poland",
    ),
    (rule("STD-1DST0,M10.5.0,M3.5.0/1"), "Eire Europe/Dublin"),
    (
        rule("STD-2"),
        "Africa/Blantyre Africa/Bujumbura Africa/Gaborone Africa/Harare Africa/Johannesburg Africa/Juba Africa/Khartoum Africa/Kigali \
         Africa/Lubumbashi Africa/Lusaka Africa/Maputo Africa/Maseru Africa/Mbabane Africa/Tripoli Africa/Windhoek Etc/GMT-2 \
         Europe/Kaliningrad Libya",
    ),
    (rule("STD-2DST,M3.4.4/26,M10.5.0"), "Asia/Jerusalem Asia/Tel_Aviv Israel"),
    (rule("STD-2DST,M3.4.4/50,M10.4.4/50"), "Asia/Gaza Asia/Hebron"),
    (rule("STD-2DST,M3.5.0/0,M10.5.0/0"), "Asia/Beirut"),
    (
        rule("STD-2DST,M3.5.0/3,M10.5.0/4"),
        "Asia/Famagusta Asia/Nicosia EET Europe/Athens Europe/Bucharest Europe/Chisinau Europe/Helsinki Europe/Kiev Europe/Kyiv \
         Europe/Mariehamn Europe/Nicosia Europe/Riga Europe/Sofia Europe/Tallinn Europe/Tiraspol Europe/Uzhgorod Europe/Vilnius \
         Europe/Zaporozhye",
    ),
    (rule("STD-2DST,M4.5.5/0,M10.5.4/24"), "Africa/Cairo Egypt"),
    (
        rule("STD-3"),
        "Africa/Addis_Ababa Africa/Asmara Africa/Asmera Africa/Dar_es_Salaam Africa/Djibouti Africa/Kampala Africa/Mogadishu \
         Africa/Nairobi Antarctica/Syowa Asia/Aden Asia/Amman Asia/Baghdad Asia/Bahrain Asia/Damascus Asia/Istanbul Asia/Kuwait \
         Asia/Qatar Asia/Riyadh Etc/GMT-3 Europe/Istanbul Europe/Kirov Europe/Minsk Europe/Moscow Europe/Simferopol Europe/Volgograd \
         Indian/Antananarivo Indian/Comoro Indian/Mayotte Turkey W-SU",
    ),
    (rule("STD-3:30"), "Asia/Tehran Iran"),
    (
        rule("STD-4"),
        "Asia/Baku Asia/Dubai Asia/Muscat Asia/Tbilisi Asia/Yerevan Etc/GMT-4 Europe/Astrakhan Europe/Samara Europe/Saratov \
         Europe/Ulyanovsk Indian/Mahe Indian/Mauritius Indian/Reunion",
    ),
    (rule("STD-4:30"), "Asia/Kabul"),
    (
        rule("STD-5"),
        "Antarctica/Mawson Antarctica/Vostok Asia/Almaty Asia/Aqtau Asia/Aqtobe Asia/Ashgabat Asia/Ashkhabad Asia/Atyrau Asia/Dushanbe \
         Asia/Karachi Asia/Oral Asia/Qostanay Asia/Qyzylorda Asia/Samarkand Asia/Tashkent Asia/Yekaterinburg Etc/GMT-5 \
         Indian/Kerguelen Indian/Maldives",
    ),
    (rule("STD-5:30"), "Asia/Calcutta Asia/Colombo Asia/Kolkata"),
    (rule("STD-5:45"), "Asia/Kathmandu Asia/Katmandu"),
    (
        rule("STD-6"),
        "Asia/Bishkek Asia/Dacca Asia/Dhaka Asia/Kashgar Asia/Omsk Asia/Thimbu Asia/Thimphu Asia/Urumqi Etc/GMT-6 Indian/Chagos",
    ),
    (rule("STD-6:30"), "Asia/Rangoon Asia/Yangon Indian/Cocos"),
    (
        rule("STD-7"),
        "Antarctica/Davis Asia/Bangkok Asia/Barnaul Asia/Ho_Chi_Minh Asia/Hovd Asia/Jakarta Asia/Krasnoyarsk Asia/Novokuznetsk \
         Asia/Novosibirsk Asia/Phnom_Penh Asia/Pontianak Asia/Saigon Asia/Tomsk Asia/Vientiane Etc/GMT-7 Indian/Christmas",
    ),
    (
        rule("STD-8"),
        "Antarctica/Casey Asia/Brunei Asia/Choibalsan Asia/Chongqing Asia/Chungking Asia/Harbin Asia/Hong_Kong Asia/Irkutsk \
         Asia/Kuala_Lumpur Asia/Kuching Asia/Macao Asia/Macau Asia/Makassar Asia/Manila Asia/Shanghai Asia/Singapore Asia/Taipei \
         Asia/Ujung_Pandang Asia/Ulaanbaatar Asia/Ulan_Bator Australia/Perth Australia/West Etc/GMT-8 Hongkong PRC ROC Singapore",
    ),
    (rule("STD-8:45"), "Australia/Eucla"),
    (
        rule("STD-9"),
        "Asia/Chita Asia/Dili Asia/Jayapura Asia/Khandyga Asia/Pyongyang Asia/Seoul Asia/Tokyo Asia/Yakutsk Etc/GMT-9 Japan \
         Pacific/Palau ROK",
    ),
    (rule("STD-9:30"), "Australia/Darwin Australia/North"),
    (rule("STD-9:30DST,M10.1.0,M4.1.0/3"), "Australia/Adelaide Australia/Broken_Hill Australia/South Australia/Yancowinna"),
    (
        rule("STD0"),
        "Africa/Abidjan Africa/Accra Africa/Bamako Africa/Banjul Africa/Bissau Africa/Casablanca Africa/Conakry Africa/Dakar \
         Africa/El_Aaiun Africa/Freetown Africa/Lome Africa/Monrovia Africa/Nouakchott Africa/Ouagadougou Africa/Sao_Tome \
         Africa/Timbuktu America/Danmarkshavn Atlantic/Reykjavik Atlantic/St_Helena Etc/GMT Etc/GMT+0 Etc/GMT-0 Etc/GMT0 Etc/Greenwich \
         Etc/UCT Etc/UTC Etc/Universal Etc/Zulu GMT GMT+0 GMT-0 GMT0 Greenwich Iceland UCT UTC Universal Zulu",
    ),
    (
        rule("STD0DST,M3.5.0/1,M10.5.0"),
        "Atlantic/Canary Atlantic/Faeroe Atlantic/Faroe Atlantic/Madeira Europe/Belfast Europe/Guernsey Europe/Isle_of_Man \
         Europe/Jersey Europe/Lisbon Europe/London GB GB-Eire Portugal WET",
    ),
    (rule("STD0DST-2,M3.5.0/1,M10.5.0/3"), "Antarctica/Troll"),
    (rule("STD1"), "Atlantic/Cape_Verde Etc/GMT+1"),
    (rule("STD10"), "Etc/GMT+10 HST Pacific/Honolulu Pacific/Johnston Pacific/Rarotonga Pacific/Tahiti US/Hawaii"),
    (rule("STD10DST,M3.2.0,M11.1.0"), "America/Adak America/Atka US/Aleutian"),
    (rule("STD11"), "Etc/GMT+11 Pacific/Midway Pacific/Niue Pacific/Pago_Pago Pacific/Samoa US/Samoa"),
    (rule("STD12"), "Etc/GMT+12"),
    (rule("STD1DST,M3.5.0/0,M10.5.0/1"), "Atlantic/Azores"),
    (rule("STD2"), "America/Noronha Atlantic/South_Georgia Brazil/DeNoronha Etc/GMT+2"),
    (rule("STD2DST,M3.5.0/-1,M10.5.0/0"), "America/Godthab America/Nuuk America/Scoresbysund"),
    (
        rule("STD3"),
        "America/Araguaina America/Argentina/Buenos_Aires America/Argentina/Catamarca America/Argentina/ComodRivadavia \
         America/Argentina/Cordoba America/Argentina/Jujuy America/Argentina/La_Rioja America/Argentina/Mendoza \
         America/Argentina/Rio_Gallegos America/Argentina/Salta America/Argentina/San_Juan America/Argentina/San_Luis \
         America/Argentina/Tucuman America/Argentina/Ushuaia America/Asuncion America/Bahia America/Belem America/Buenos_Aires \
         America/Catamarca America/Cayenne America/Cordoba America/Coyhaique America/Fortaleza America/Jujuy America/Maceio \
         America/Mendoza America/Montevideo America/Paramaribo America/Punta_Arenas America/Recife America/Rosario America/Santarem \
         America/Sao_Paulo Antarctica/Palmer Antarctica/Rothera Atlantic/Stanley Brazil/East Etc/GMT+3",
    ),
    (rule("STD3:30DST,M3.2.0,M11.1.0"), "America/St_Johns Canada/Newfoundland"),
    (rule("STD3DST,M3.2.0,M11.1.0"), "America/Miquelon"),
    (
        rule("STD4"),
        "America/Anguilla America/Antigua America/Aruba America/Barbados America/Blanc-Sablon America/Boa_Vista America/Campo_Grande \
         America/Caracas America/Cuiaba America/Curacao America/Dominica America/Grenada America/Guadeloupe America/Guyana \
         America/Kralendijk America/La_Paz America/Lower_Princes America/Manaus America/Marigot America/Martinique America/Montserrat \
         America/Port_of_Spain America/Porto_Velho America/Puerto_Rico America/Santo_Domingo America/St_Barthelemy America/St_Kitts \
         America/St_Lucia America/St_Thomas America/St_Vincent America/Tortola America/Virgin Brazil/West Etc/GMT+4",
    ),
    (
        rule("STD4DST,M3.2.0,M11.1.0"),
        "America/Glace_Bay America/Goose_Bay America/Halifax America/Moncton America/Thule Atlantic/Bermuda Canada/Atlantic",
    ),
    (rule("STD4DST,M9.1.6/24,M4.1.6/24"), "America/Santiago Chile/Continental"),
    (
        rule("STD5"),
        "America/Atikokan America/Bogota America/Cancun America/Cayman America/Coral_Harbour America/Eirunepe America/Guayaquil \
         America/Jamaica America/Lima America/Panama America/Porto_Acre America/Rainy_River America/Rio_Branco America/Winnipeg \
         Brazil/Acre Canada/Central EST Etc/GMT+5 Jamaica",
    ),
    (
        rule("STD5DST,M3.2.0,M11.1.0"),
        "America/Detroit America/Fort_Wayne America/Grand_Turk America/Indiana/Indianapolis America/Indiana/Marengo \
         America/Indiana/Petersburg America/Indiana/Vevay America/Indiana/Vincennes America/Indiana/Winamac America/Indianapolis \
         America/Iqaluit America/Kentucky/Louisville America/Kentucky/Monticello America/Louisville America/Montreal America/Nassau \
         America/New_York America/Nipigon America/Pangnirtung America/Port-au-Prince America/Thunder_Bay America/Toronto \
         Canada/Eastern EST5EDT US/East-Indiana US/Eastern US/Michigan",
    ),
    (rule("STD5DST,M3.2.0/0,M11.1.0/1"), "America/Havana Cuba"),
    (
        rule("STD6"),
        "America/Bahia_Banderas America/Belize America/Chihuahua America/Costa_Rica America/Edmonton America/El_Salvador \
         America/Guatemala America/Inuvik America/Managua America/Merida America/Mexico_City America/Monterrey America/Regina \
         America/Swift_Current America/Tegucigalpa America/Yellowknife Canada/Mountain Canada/Saskatchewan Etc/GMT+6 Mexico/General \
         Pacific/Galapagos",
    ),
    (
        rule("STD6DST,M3.2.0,M11.1.0"),
        "America/Chicago America/Indiana/Knox America/Indiana/Tell_City America/Knox_IN America/Matamoros America/Menominee \
         America/North_Dakota/Beulah America/North_Dakota/Center America/North_Dakota/New_Salem America/Ojinaga America/Rankin_Inlet \
         America/Resolute CST6CDT US/Central US/Indiana-Starke",
    ),
    (rule("STD6DST,M9.1.6/22,M4.1.6/22"), "Chile/EasterIsland Pacific/Easter"),
    (
        rule("STD7"),
        "America/Creston America/Dawson America/Dawson_Creek America/Fort_Nelson America/Hermosillo America/Mazatlan America/Phoenix \
         America/Vancouver America/Whitehorse Canada/Pacific Canada/Yukon Etc/GMT+7 MST Mexico/BajaSur US/Arizona",
    ),
    (
        rule("STD7DST,M3.2.0,M11.1.0"),
        "America/Boise America/Cambridge_Bay America/Ciudad_Juarez America/Denver America/Shiprock MST7MDT Navajo US/Mountain",
    ),
    (rule("STD8"), "Etc/GMT+8 Pacific/Pitcairn"),
    (
        rule("STD8DST,M3.2.0,M11.1.0"),
        "America/Ensenada America/Los_Angeles America/Santa_Isabel America/Tijuana Mexico/BajaNorte PST8PDT US/Pacific",
    ),
    (rule("STD9"), "Etc/GMT+9 Pacific/Gambier"),
    (rule("STD9:30"), "Pacific/Marquesas"),
    (
        rule("STD9DST,M3.2.0,M11.1.0"),
        "America/Anchorage America/Juneau America/Metlakatla America/Nome America/Sitka America/Yakutat US/Alaska",
    ),
];

"""Pools for Chinese, Japanese, Korean and Arabic."""

from __future__ import annotations

from include.sandbox.people.locales import Locale, cities, listed, romanised

CHINESE = Locale(
    code="zh",
    weight=14,
    family=romanised(
        "王:wang,李:li,张:zhang,刘:liu,陈:chen,杨:yang,赵:zhao,黄:huang,周:zhou,吴:wu,徐:xu,孙:sun,胡:hu,"
        "朱:zhu,高:gao,林:lin,"
        "何:he,郭:guo,马:ma,罗:luo,欧阳:ouyang,司马:sima,诸葛:zhuge,謝:xie,鄧:deng,龍:long"
    ),
    given=romanised(
        "伟:wei,秀英:xiuying,娜:na,敏:min,静:jing,丽:li,强:qiang,磊:lei,洋:yang,艳:yan,勇:yong,军:jun,杰:jie,"
        "子涵:zihan,浩然:haoran,"
        "梓萱:zixuan,宇轩:yuxuan,思远:siyuan,若曦:ruoxi,志明:zhiming,春嬌:chunjiao,婉儀:wanyi,建国:jianguo,"
        "晓东:xiaodong"
    ),
    middle=listed("小,阿"),
    salutations=listed("先生,女士,博士,教授"),
    cities=cities(
        "北京/北京市/1000##,上海/上海市/2000##,广州/广东省/5100##,深圳/广东省/5180##,成都/四川省/6100##,"
        "杭州/浙江省/3100##,西安/陕西省/7100##",
        "中国",
    )
    + cities("臺北/臺北市/1####,高雄/高雄市/8####", "臺灣"),
    street="{street}{number}号",
    streets=listed("中山路,人民大道,建国门外大街,南京西路,解放北路,科技园一路,文化街"),
    second_lines=listed("12层,A座,二期3栋,1208室"),
    phone="+86 10 5550 01##",
    mobile="+86 139 5550 01##",
    titles=listed("采购经理,销售总监,首席执行官,软件工程师,市场部主管,财务总监,項目經理"),
    stems=romanised(
        "华锐:huarui,东方星辰:dongfang,金桥:jinqiao,长江:changjiang,云图:yuntu,泰和:taihe,龙腾:longteng,"
        "海纳:haina,瑞丰:ruifeng"
    ),
    trades=romanised(
        "软件:ruanjian,贸易:maoyi,电子:dianzi,物流:wuliu,生物:shengwu,食品:shipin,机械:jixie,教育:jiaoyu",
    ),
    company="{stem}{trade}有限公司",
    topics=listed("申请产品演示;询问年度合同价格;展会后续跟进;云端迁移方案", ";"),
    sentences=listed(
        "客户希望在月底前收到报价单。|不方便接电话,请用微信或邮件联系 💬。|在上海展会上见过面,"
        "对新版本很感兴趣。|预算已经批准,正在等待法务部门审核。|𠮷野家的負責人介紹。",
        "|",
    ),
)

JAPANESE = Locale(
    code="ja",
    weight=9,
    family=romanised(
        "佐藤:sato,鈴木:suzuki,高橋:takahashi,田中:tanaka,渡邉:watanabe,伊藤:ito,山本:yamamoto,中村:nakamura,"
        "小林:kobayashi,"
        "𠮷田:yoshida,髙島:takashima,齋藤:saito,長谷川:hasegawa,五十嵐:igarashi,小鳥遊:takanashi,林:hayashi"
    ),
    given=romanised(
        "翔太:shota,さくら:sakura,大輔:daisuke,陽子:yoko,健一:kenichi,美咲:misaki,ケン:ken,エミリー:emily,"
        "直樹:naoki,千尋:chihiro,"
        "蓮:ren,葵:aoi,久美子:kumiko,拓也:takuya,光:hikaru,結衣:yui"
    ),
    middle=listed("ジョン,マリア"),
    salutations=listed("様,先生,さん"),
    cities=cities(
        "千代田区/東京都/100-00##,大阪市/大阪府/530-00##,札幌市/北海道/060-00##,京都市/京都府/600-8###,"
        "福岡市/福岡県/810-00##,つくば市/茨城県/305-0###",
        "日本",
    ),
    street="{street}{number}番地",
    streets=listed("丸の内一丁目,銀座四丁目,本町通り,御堂筋,烏丸通,中央"),
    second_lines=listed("第3ビル 5階,本館,ヒルズタワー 22F"),
    phone="+81 3-5550-01##",
    mobile="+81 90-5550-01##",
    titles=listed("営業部長,代表取締役,システムエンジニア,購買担当,マーケティング課長,総務部"),
    stems=romanised("富士見:fujimi,さくら:sakura,日の出:hinode,大和:yamato,ミライ:mirai,北斗:hokuto,みなと:minato"),
    trades=romanised("商事:shoji,電機:denki,製作所:seisakusho,食品:shokuhin,システム:system,運輸:unyu"),
    company="株式会社{stem}{trade}",
    topics=listed("見積依頼;製品デモのご希望;展示会フォローアップ;契約更新について", ";"),
    sentences=listed(
        "来月の役員会で検討するとのこと。|電話よりメールでの連絡をご希望です。|"
        "展示会でデモをご覧になり、大変興味をお持ちです✨。|ﾊﾝｶｸｶﾅ の資料を希望。",
        "|",
    ),
)

KOREAN = Locale(
    code="ko",
    weight=8,
    family=romanised(
        "김:kim,이:lee,박:park,최:choi,정:jung,강:kang,조:cho,윤:yoon,장:jang,임:lim,한:han,오:oh,서:seo,"
        "신:shin,황보:hwangbo,남궁:namgung,나:na"
    ),
    given=romanised(
        "민준:minjun,서연:seoyeon,지우:jiwoo,하윤:hayun,도현:dohyun,예린:yerin,준호:junho,수빈:subin,"
        "영희:younghee,철수:chulsoo,"
        "은지:eunji,현우:hyunwoo,다은:daeun,성민:sungmin,나래:narae,빛나:bitna"
    ),
    middle=listed("별"),
    salutations=listed("님,박사님,교수님"),
    cities=cities(
        "서울/서울특별시/04###,부산/부산광역시/48###,대구/대구광역시/41###,인천/인천광역시/21###,"
        "수원/경기도/16###,제주/제주특별자치도/63###",
        "대한민국",
    ),
    street="{street} {number}",
    streets=listed("세종대로,테헤란로,강남대로,광복로,동성로,한강대로"),
    second_lines=listed("3층,B동 502호,본관"),
    phone="+82 2-5550-01##",
    mobile="+82 10-5550-01##",
    titles=listed("구매팀장,영업이사,대표이사,개발자,마케팅 과장,재무담당"),
    stems=romanised("한빛:hanbit,가온:gaon,누리:nuri,새벽:saebyeok,다온:daon,미르:mireu"),
    trades=romanised("전자:jeonja,물산:mulsan,소프트:soft,식품:sikpum,건설:geonseol,화학:hwahak"),
    company="주식회사 {stem}{trade}",
    topics=listed("견적 요청;제품 시연 문의;박람회 후속 연락;연간 계약 갱신", ";"),
    sentences=listed(
        "이번 달 말까지 견적서를 요청했습니다.|전화보다 이메일을 선호합니다 📧.|"
        "부산 박람회에서 만났고 신제품에 관심이 많습니다.|예산 승인을 기다리는 중입니다.",
        "|",
    ),
)

ARABIC = Locale(
    code="ar",
    weight=8,
    family=romanised(
        "الحداد:alhaddad,المصري:almasri,الخطيب:alkhatib,النجار:alnajjar,السيد:alsayed,بن يوسف:benyoussef,"
        "القحطاني:alqahtani,"
        "الشمري:alshammari,العتيبي:alotaibi,حمدان:hamdan,الزهراني:alzahrani,منصور:mansour,طه:taha,أبو زيد:abuzaid"
    ),
    given=romanised(
        "محمد:mohammed,فاطمة:fatima,أحمد:ahmed,عائشة:aisha,عمر:omar,ليلى:layla,يوسف:youssef,نور:nour,"
        "خالد:khaled,مريم:maryam,"
        "إبراهيم:ibrahim,هدى:huda,سلمى:salma,عبد الله:abdullah,زينب:zainab,طارق:tariq"
    ),
    middle=listed("بن علي,عبد الرحمن,بنت خالد"),
    salutations=listed("السيد,السيدة,الدكتور,المهندس"),
    cities=cities("القاهرة/القاهرة/11###,الإسكندرية/الإسكندرية/21###", "مصر")
    + cities("الرياض/منطقة الرياض/12###,جدة/مكة المكرمة/23###", "السعودية")
    + cities("دبي/دبي/000##", "الإمارات العربية المتحدة"),
    street="{number} {street}",
    streets=listed("شارع التحرير;شارع الملك فهد;طريق الكورنيش;شارع الشيخ زايد", ";"),
    second_lines=listed("الطابق الثالث;مبنى ٧;ص.ب. ١٢٣٤", ";"),
    phone="+971 4 555 01##",
    mobile="+971 50 555 01##",
    titles=listed("مدير المبيعات;رئيس مجلس الإدارة;مهندسة برمجيات;مدير المشتريات;محاسب", ";"),
    stems=romanised("النخيل:alnakheel,الواحة:alwaha,الأهرام:alahram,الخليج:alkhaleej,المنارة:almanara,الصقر:alsaqr"),
    trades=romanised("للتجارة:trading,للبرمجيات:software,للإنشاءات:construction,للأغذية:foods,للنقل:transport"),
    company="شركة {stem} {trade} ذ.م.م.",
    topics=listed("طلب عرض سعر;تجديد العقد السنوي;متابعة بعد المعرض;استفسار عن المنتج", ";"),
    sentences=listed(
        "طلب عرض سعر قبل نهاية الشهر.|يفضل التواصل عبر البريد الإلكتروني ✉️.|"
        "التقينا في معرض دبي وأبدى اهتماما كبيرا.|بانتظار موافقة الإدارة على الميزانية (ERP ٢٠٢٦).",
        "|",
    ),
)

"""Pools for Swedish, Portuguese, Spanish, German and English."""

from __future__ import annotations

from include.sandbox.people.locales import Locale, cities, latin, listed

SWEDISH = Locale(
    code="sv",
    weight=12,
    family=latin(
        "Lindqvist,Söderström,Åkesson,Öberg,Bergström,Nyström,Hägglund,Sjögren,Wallén,Dahlström,Ekström,Åström,"
        "Björklund,Lövgren,Nordström,Östlund,Hedström,Åhlén,Engström,Fälth,Sandström,Lindström,Holmström,Sjöberg,"
        "Norén,Blomqvist,Törnqvist,Rönnqvist,Palmér,Sjölund,Gyllenhammar,Löfgren"
    ),
    given=latin(
        "Åsa,Göran,Örjan,Märta,Björn,Jörgen,Sören,Håkan,Pär,Maj-Britt,Lars-Åke,Ingegärd,Linnéa,Karin,Anders,Ebba,"
        "Viktor,Elsa,Hjalmar,Sigrid,Gösta,Torbjörn,Annika,Mårten,Lovisa,Saga,Åke,Rune,Yngve,Tuva"
    ),
    middle=listed("Erik,Maria,Åke,Birgitta,Göran,Elisabet"),
    salutations=listed("Herr,Fru,Doktor,Professor"),
    cities=cities(
        "Malmö/Skåne län/2## ##,Göteborg/Västra Götalands län/4## ##,Örebro/Örebro län/70# ##,Umeå/Västerbottens län/"
        "90# ##,Västerås/Västmanlands län/72# ##,Stockholm/Stockholms län/11# ##,Jönköping/Jönköpings län/55# ##",
        "Sverige",
    ),
    street="{street} {number}",
    streets=listed("Storgatan,Södra Förstadsgatan,Kungsgatan,Älvsborgsgatan,Östra Hamngatan,Nygårdsvägen,Björkvägen"),
    second_lines=listed("Våning 3,c/o Åberg,Port B,Box 1142,Hus 7"),
    phone="+46 8 465 004 ##",
    mobile="+46 70 174 06 ##",
    titles=listed(
        "Inköpschef,Försäljningsdirektör,Verkställande direktör,IT-arkitekt,Marknadsförare,Ekonomichef,Projektledare,"
        "Hållbarhetschef,Kundansvarig"
    ),
    stems=latin(
        "Lindqvist,Skärgård,Norrsken,Älvdal,Björknäs,Öresund,Fjäll,Mälar,Västkust,Granö,Hällby,Åre,Söder,Tärna"
    ),
    trades=latin("Bygg,Möbler,Kraft,Data,Sjöfart,Livsmedel,Verkstad,Grön Energi,Logistik,Papper"),
    company="{stem} {trade} AB",
    topics=listed("Förfrågan om affärssystem,Offert på årsavtal,Intresse från mässan i Göteborg,Önskar återkoppling"),
    sentences=listed(
        "Träffades på mässan i Älvsjö och vill gärna höra mer.|Ringer helst före lunch;"
        " är sällan på kontoret på fredagar."
        "|Har frågat efter priser på både års- och månadsavtal.|Tycker att vår förra lösning var för krånglig 😅.",
        "|",
    ),
)

PORTUGUESE = Locale(
    code="pt",
    weight=10,
    family=latin(
        "Conceição,Magalhães,Araújo,Gonçalves,Guimarães,Brandão,Simões,Falcão,Leitão,Assunção,Galvão,Mourão,"
        "d'Ávila,Vasconcelos,Antunes,Fragoso,Peixoto,Quintão,Sá,Valadão,Figueirôa,Cândido,Estêvão,Lobão"
    ),
    given=latin(
        "João,Inês,Luís,Antônio,Mônica,Conceição,Thaís,Cauã,Fábio,Otávio,Lívia,Flávia,Sérgio,Cecília,Vinícius,"
        "Letícia,"
        "Zélia,Júlio,Débora,Mário,Heloísa,Tomé,Rúben,Ângela"
    ),
    middle=listed("de Jesus,da Glória,José,Aparecida,Luís"),
    salutations=listed("Sr.,Sra.,Dr.,Dra.,Eng."),
    cities=cities(
        "São Paulo/SP/0####-###,Brasília/DF/70###-###,Florianópolis/SC/88###-###,Goiânia/GO/74###-###,"
        "Maceió/AL/57###-###"
        ",Curitiba/PR/80###-###,Niterói/RJ/24###-###",
        "Brasil",
    )
    + cities("Lisboa/Lisboa/1###-###,Évora/Alentejo/7###-###,Setúbal/Setúbal/2###-###", "Portugal"),
    street="{street}, {number}",
    streets=listed(
        "Rua da Consolação,Avenida Atlântica,Praça da Sé,Travessa São João,Rua Conceição de Cima,Largo do Côvado"
    ),
    second_lines=listed("2º andar,Sala 1204,Bloco C,Edifício Itália,Conj. 51"),
    phone="+55 11 5550-01##",
    mobile="+55 11 95550-01##",
    titles=listed(
        "Diretora de Operações,Gerente de Relações Públicas,Analista de Informação,Coordenador de Produção,"
        "Sócio-gerente,"
        "Engenheiro de Aplicações"
    ),
    stems=latin("Sertão,Açaí,Pão de Açúcar,Jacarandá,Atlântico,Maré,Cajuína,Tejo,Girão,Rochão,Alecrim"),
    trades=latin("Alimentação,Construções,Café,Soluções,Mineração,Calçados,Transportes,Cerâmica"),
    company="{stem} {trade} Ltda.",
    topics=listed("Solicitação de orçamento,Migração para a nuvem,Avaliação do catálogo,Reunião após a exposição"),
    sentences=listed(
        "Pediu uma demonstração para a direção até o fim do mês.|Não atende ligações; prefere e-mail ou WhatsApp 📱."
        "|A decisão depende da aprovação do orçamento de 2026.|Já foi cliente há três anos,"
        " saiu por questões de preço.",
        "|",
    ),
)

SPANISH = Locale(
    code="es",
    weight=11,
    family=latin(
        "García Núñez,Muñoz,Ibáñez,Peña,Ordóñez,Gutiérrez,Jiménez,Cáceres,Echeverría,López de Ávila,Zúñiga,"
        "Bolaños,Piñeiro,"
        "Castañeda,Logroño,Güell,Argüelles,Benítez,Pérez-Reverón,Cañizares,Yáñez,Sáenz,Mínguez,Rodríguez"
    ),
    given=latin(
        "José,María,Ángel,Íñigo,Begoña,Concepción,Raúl,Mónica,Andrés,Inés,Óscar,Lucía,Adrián,Belén,Joaquín,"
        "Nuria,Úrsula,"
        "César,Araceli,Iñaki,Ramón,Sofía,Martín,Elías"
    ),
    middle=listed("del Carmen,José,de los Ángeles,Luis,María"),
    salutations=listed("Sr.,Sra.,Dña.,Ing.,Lic."),
    cities=cities(
        "Málaga/Málaga/290##,Cádiz/Cádiz/110##,León/Castilla y León/240##,A Coruña/Galicia/150##,"
        "Alcalá de Henares/Madrid/"
        "288##,Logroño/La Rioja/260##",
        "España",
    )
    + cities("Mérida/Yucatán/97###,Querétaro/Querétaro/76###,Ciudad de México/CDMX/0####", "México"),
    street="{street} n.º {number}",
    streets=listed(
        "Calle de Alcalá,Paseo de la Reforma,Avenida Andalucía,Plaza Mayor,Calle Niño Jesús,Ronda de Muñoz",
    ),
    second_lines=listed("2.º izda.,Edificio Ágora,Local 4,Planta baja,Apdo. 118"),
    phone="+34 91 555 01 ##",
    mobile="+34 655 55 01 ##",
    titles=listed(
        "Directora de Compras,Jefe de Almacén,Técnico de Diseño,Responsable de Logística,Asesor Jurídico,"
        "Gerente de Año Fiscal"
    ),
    stems=latin("Ibérica,Peñalara,Cigüeña,Montaña,Aragón,Olivar,Ñandú,Sierra Morena,Levante,Tajo"),
    trades=latin("Cerámicas,Conservas,Informática,Energía,Diseño,Maquinaria,Pañería,Exportación"),
    company="{trade} {stem} S.A. de C.V.",
    topics=listed("Petición de presupuesto,Ampliación de licencias,¿Qué plan conviene?,Renovación del año próximo"),
    sentences=listed(
        "¿Podemos enviarle el catálogo en papel? Lo pidió dos veces.|Vino recomendado por un cliente de Logroño."
        "|Quiere probarlo en una filial pequeña antes de extenderlo.|¡Ojo! Solo contesta por la mañana ☀️.",
        "|",
    ),
)

GERMAN = Locale(
    code="de",
    weight=12,
    family=latin(
        "Müller,Schäfer,Weiß,Köhler,Jäger,Groß,Vögel,Böhm,Kühn,Schröder,Lüdenscheidt,Bäcker,Größinger,Hübner,"
        "Überreiter,"
        "von der Höh,Günther,Krämer,Nüßlein,Strauß,Zöllner,Fürst,Preuß,Süßmilch"
    ),
    given=latin(
        "Jürgen,Käthe,Björn,Sören,Günter,Bärbel,Jörg,Ursula,Mäx,Annegret,Thaddäus,Lieselotte,Hans-Jürgen,Rüdiger,Zoë,"
        "Anneliese,Dörte,Götz,Malte,Wiebke,Ömer,Aylin,Friederike,Lothar"
    ),
    middle=listed("Maria,Johannes,Theodor,von,Elisabeth"),
    salutations=listed("Herr,Frau,Dr.,Prof. Dr."),
    cities=cities(
        "München/Bayern/80###,Köln/Nordrhein-Westfalen/50###,Düsseldorf/Nordrhein-Westfalen/40###,"
        "Dresden/Sachsen/01###,"
        "Görlitz/Sachsen/028##,Würzburg/Bayern/970##,Saarbrücken/Saarland/661##",
        "Deutschland",
    )
    + cities("Zürich/ZH/80##,Sankt Gallen/SG/90##", "Schweiz"),
    street="{street} {number}",
    streets=listed("Königsallee,Schloßstraße,Am Großen Weiher,Bürgermeister-Müller-Straße,Mühlgasse,Kälberstraße"),
    second_lines=listed("Hinterhaus,3. OG links,Gebäude Süd,Postfach 10 04 22,Aufgang C"),
    phone="+49 30 23125 ###",
    mobile="+49 152 28817 3##",
    titles=listed(
        "Geschäftsführer,Leiterin Einkauf,Vertriebsingenieur,Qualitätsprüfer,Prokuristin,"
        "Referent für Öffentlichkeitsarbeit,"
        "Abteilungsleiterin Qualitätssicherung und Prüfmittelüberwachung"
    ),
    stems=latin("Müller & Söhne,Rheingold,Küstenwind,Großmann,Weißenfels,Schwäbische Alb,Nordlicht,Löwe,Böttcher"),
    trades=latin("Maschinenbau,Präzisionsteile,Backwaren,Gerätetechnik,Möbel,Prüftechnik,Blechwaren,Getränke"),
    company="{stem} {trade} GmbH & Co. KG",
    topics=listed("Angebot für Wartungsvertrag,Rückfrage zur Größe,Schnittstelle zum ERP,Verlängerung für 12 Monate"),
    sentences=listed(
        "Möchte die Schnittstelle zuerst im Testsystem prüfen.|Übergabe an Frau Groß,"
        " sobald das Angebot „freigegeben“ ist."
        '|Bittet um Rückruf; Durchwahl siehe Geschäftsnummer.|Budget: 34,66 € je Nutzer; das sei "zu viel".',
        "|",
    ),
)

ENGLISH = Locale(
    code="en",
    weight=16,
    family=latin(
        "O'Brien,Fitzgerald,MacAllister,Ng,Smith-Jones,D'Souza,Null,Nakamura-Hill,St. John,Okonkwo,"
        "Van der Berg,Whitfield,"
        "Ashworth,Pemberton,Castellanos,Brontë,Featherstonehaugh,Abernathy,Kowalczyk,Lee,Patel,Achebe,Dubois,Rossi"
    ),
    given=latin(
        "Siobhán,Chloë,Jean-Luc,Mary Ann,Oluwaseun,Priya,Zoe,Renée,Xavier,Quentin,Imogen,Theodore,Al,Beyoncé,"
        "Rohan,Nan,"
        "Ottoline,Marcus,Delphine,Ezekiel,Winifred,Tobias,Anaïs,True"
    ),
    middle=listed("J.,Q.,Anne,van,Louise,Patrick"),
    salutations=listed("Mr.,Ms.,Mx.,Dr.,Prof."),
    cities=cities(
        "Boston/MA/021##,San José/CA/951##,Newark/NJ/071##,St. Louis/MO/631##,Coeur d'Alene/ID/838##,"
        "Winston-Salem/NC/271##",
        "United States",
    )
    + cities("London/Greater London/EC#@ #@@,Stoke-on-Trent/Staffordshire/ST# #@@", "United Kingdom")
    + cities("Singapore//0#####", "Singapore")
    + cities("Auckland/Auckland/0###", "New Zealand"),
    street="{number} {street}",
    streets=listed(
        "Main St.,Broadway,Martin Luther King Jr. Blvd.,Queen's Road,5th Avenue,Old Mill Lane,Rue de l'Étoile"
    ),
    second_lines=listed('Suite 400,Apt. #12B,c/o Reception,P.O. Box 77,Building "A"'),
    phone="+1 (415) 555-01##",
    mobile="+1 (628) 555-01##",
    titles=listed(
        "VP, Sales & Marketing;Chief Executive Officer;Head of R&D;Buyer;Director of Data <Platform>;Account Manager;"
        "Senior Vice President, Global Strategic Partnerships and Alliances",
        ";",
    ),
    stems=latin(
        "Acme,Northwind,Blue Yonder,Tailspin,Fourth Coffee,Lucerne,Proseware,Wingtip,Humongous,Trey,Alpine Ski"
    ),
    trades=latin("Toys,Traders,Airlines,Insurance,Publishing,Robotics,Holdings,Health,Systems,Analytics,Bakery"),
    company="{stem} {trade}, Inc.",
    topics=listed(
        "Interested in 50% off;Wants a demo;Renewal in Q3;Asks about SSO & SCIM;Pricing = ?;Webinar follow-up", ";"
    ),
    sentences=listed(
        'Asked for a demo 🚀 and a quote by end of quarter.|Said "call me back" — but left no number.|'
        "Budget approved? 100% sure: "
        "yes; timing: unclear.|Met at the booth, loves the product ❤️ and the T-shirt.|"
        "Path on their share: C:\\deals\\2026, see it.",
        "|",
    ),
)

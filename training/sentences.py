"""Sentences for synthetic voices: common words of many languages drawn at random, and made-up words
of open syllables rich in lip sounds. Meaning does not matter to lips; variety of neighbours does.

Hindi and its relatives are left out on purpose: `phoneme_report` judges a language never heard.
"""

from __future__ import annotations

import numpy as np

WORDS = {
    "en-us": """
    about above across after again almost always among apple arm baby back bag ball beautiful
    because become bed before begin believe below beside best better between big bird boat body
    book both bottle bottom box boy bread breakfast bring brother brown build but button camp
    cap chair cheap child choose church climb club coffee come company computer copper could cup
    deep double down dream drop each early easy eight empty enough escape even every example eye
    face family farm father feel few film find fine first five flower follow food for forget
    four friend from full funny future game garden give glove go good grape great group half
    happy have head hear help her home hope house how hundred husband imagine important improve
    jump just keep lamp large laugh leaf left lip little live long love lovely machine make map
    may maybe measure member memory mile milk mirror moment money month moon more morning mother
    mountain mouth move much music must my name never new number object of often oh old open
    orange other our out over paint pair palm paper park part pay peace people pepper perfect
    perhaps phone piece place plan play please poem point police pool poor pop possible power
    pretty probably problem pull purple push put quick rain remember ripe river room rope rubber
    sample second seven shape share she ship shoe shop simple sing sleep small smile smooth soap
    some spoon spring stop summer super sweet table teeth than thank that them there thing think
    this though thousand through thumb time today together tomb tooth top town travel tree
    trouble umbrella under up use usual value very village voice wait walk warm water wave we
    web weather welcome what when white why will window winter with woman wonderful word work
    world would yellow yes you young zebra
    """,
    "de": """
    aber abend alle apfel arbeit auch auf auge baum bei berg bitte blau bleiben blume boot
    brauchen brief brot buch bunt butter damals dampf danke drüben dunkel durch einfach eltern
    empfehlen fenster fisch frau freund früh fünf garten geben gelb gemüse glauben groß gut
    haben haus heben herbst hoch hübsch immer jetzt junge kalb kampf kaufen kommen kopf körper
    lampe leben lieb löffel luft machen mann mehr milch mittag morgen mund musik mutter möbel
    müde name nehmen oben obst öffnen oma opa papier pfeffer pferd pflaume platz prüfen pumpe
    raum regen schaf schiff schlafen schnee schön schule sommer spiel stadt strom stube suppe
    süß tempel traum treppe trüb über um verboten viel vogel von warm wasser weiß welt wieder
    wolf wunderbar zimmer zopf zwölf
    """,
    "fr": """
    abeille ami amour apprendre arbre aujourd'hui automne avec avoir bain balle bateau beau
    beaucoup bébé besoin bien blanc bleu boire bois bon bonjour bouche bout bras brun campagne
    chambre champ chemin chez combien comme corps demain dimanche doigt eau école enfant
    ensemble été femme feu feuille fleur fromage garçon goût grand gros heureux heure homme
    hôpital impossible jambe jardin jaune jeune jouer lampe lapin libre lumière lune lundi main
    maison maman manger matin même mère moi moment monde montagne mouton musique neuf nombre
    nouveau nuit oeuf oiseau ombre ouvrir pain papa papier parler peau petit peu peur pied plage
    plein pleuvoir pluie poisson pomme pont porte pouvoir premier printemps profond puis quand
    rapide robe rouge sable semaine soupe sur table temps tomber toujours un vache vague vent
    vert vin vivre voiture
    """,
    "es": """
    abajo abrir abuela agua ahora alma alto amable amigo amor aprender arriba azúcar bailar bajo
    banco barco bastante beber bien blanco boca bonito bosque brazo bueno cabeza caballo calle
    cambiar camino campo cebolla cuando cuerpo debajo empezar enfermo familia feliz fiebre flor
    fuego gato gente grande guapo hablar hambre hermano hombre huevo iglesia invierno jueves
    jugar lápiz leche libro limpio lluvia luna llave madre mañana mapa mar mejor mesa miembro
    miedo mujer mundo música nombre noviembre nube nunca obra oveja padre palabra pan papel
    pared pequeño pero perro piano pie piedra pobre poder primo problema pueblo puente puerta
    rápido ropa sábado saber siempre silla sombra subir también tiempo trabajo trompeta uva vaca
    vapor verano viaje viento voz zapato
    """,
    "it": """
    abbiamo acqua albero allora ambiente amico amore aprire babbo bambino bella bene bianco
    bocca bosco braccio buono campo capello casa chiave cibo compleanno coppia dopo fabbrica
    famiglia febbre fiume forse freddo fuoco gamba giovane gruppo imparare inverno labbra
    lampada latte libro luce mamma mano mappa mare mattina mela mezzo mondo montagna mucca
    nebbia neve nipote nome nuovo occhio ombra ombrello pane papà parlare passo pepe perché
    piccolo pioggia ponte popolo porta possibile prima problema pubblico quando ragazzo rumore
    sabbia sapone scarpa sempre sopra spiaggia stampa tempo terra troppo uomo uovo uva vecchio
    verde viaggio vino voce zuppa
    """,
    "pt": """
    abelha abrir água amanhã amigo amor aprender avô baixo bebê bem boca bolo bom braço branco
    cabeça caminho campo chuva comer coração corpo depois embora escola família febre feijão
    fogo fome gato grande homem inverno irmão janela lábio lâmpada leite livro lua luz mãe mão
    mapa mar melhor menino mesa mulher mundo muito nome novembro novo número obrigado olho ombro
    onde ovo pai palavra pão papel pé pedra pequeno peixe perto pobre ponte porta povo primo
    problema quando rápido roupa sábado sempre sombra sopa também tempo trabalho um uva vaca
    velho vento verão viagem vida vinho voz
    """,
    "pl": """
    babcia bardzo biały błoto brat być chleb chłopiec ciepło człowiek dobry dom drzewo dwa
    dziękuję głowa góra grzyb herbata ja jabłko kobieta kot książka kupić lampa las lubić łapa
    małpa mapa matka miasto mieć mleko morze muzyka myć można niebo noc noga oko ołówek pamięć
    pan papier piękny pies pięć pisać pomoc popołudnie powoli praca przyjaciel ptak rzeka ryba
    samochód słońce słowo śpiewać spać szkoła świat szybko trawa ulica usta waga wiatr woda
    wolny wszystko zima żaba życie
    """,
    "ru": """
    бабушка банка белый берег большой брат бумага быстро вода воздух время вопрос всегда выбор
    глубоко говорить голова город губы день дерево добрый дом дорога друг женщина жизнь зима зуб
    имя книга кот лампа лето любовь мальчик мама машина мир много море мост музыка мыло мы небо
    ночь обед облако огонь окно отец память папа парк певец песня письмо поле помощь птица пять
    работа река рыба сад семья слово снег собака солнце спасибо суп тепло труба ты улица утро
    хлеб цвет человек чашка шапка школа щека яблоко язык
    """,
    "tr": """
    abla ağaç akşam anne araba ateş ay ayakkabı baba bahçe balık bardak baş bebek beyaz bir biz
    boş böyle bulut büyük çabuk çanta çiçek çocuk cumba dağ deniz dolap düşünmek elma ev fare
    gece gemi göz gül gümüş güzel hava hep ışık içmek iplik kalem kapı karpuz kitap köprü köpek
    kuş küçük limon mavi mektup merhaba müzik neşe ördek oda okul omuz öğretmen pamuk para
    pencere peynir pembe sabah sap su süt şapka tabak temiz top üzüm vapur yağmur yeşil yol
    yumurta zaman
    """,
    "nl": """
    aap appel avond baby bed beer bloem blauw boek boom boot boven brood brug broer buiten dag
    deur duim eten familie fiets geel geluk goed groep groot haven herfst hoofd huis jong kamer
    kip klein koffie komen kopen lamp lepel leven lopen lucht maan maar mama melk mens mooi
    morgen muis muur muziek naam neus nieuw ober oma oog open over paard papier pen peper plaats
    praten probleem regen rivier schaap schip schoen school sneeuw soep spelen stem stoel straat
    tafel trap twee uur vader verf vijf vis vogel vrouw vuur warm water week werk winter woord
    zomer zon zuiver
    """,
    "sv": """
    arbete barn bara björk blomma blå bok bord bra bro bror bröd båt dröm dörr fem flicka fot
    framför fågel född gammal gräs gul hem himmel hjälp hus hund hör imorgon ja kaffe kappa kniv
    komma kropp kött lampa leva ljus läpp löv mamma mat maj moln morgon mun musik måne mörk namn
    natt ny nyckel ofta ord papper park pojke problem påse regn sju sjuk sjunga skog skola sköld
    snabbt snö sommar sova spela stjärna stor sång söt tempel torp träd tupp tyst under upp
    vatten vind vinter vår väg ymnig äpple öga ö överallt
    """,
    "cs": """
    babička barva bílý bota bratr budova být chléb chlapec čepice čtyři den dobrý dům dveře
    hlava hora hrnek hudba jablko jméno kabát kniha kopec kůň květ lampa les léto maminka mapa
    město místo mléko modrý moře most můj myš nebe noc oblak obraz oheň okno pět píseň plavat
    počasí pomoc potok pravda prst pták ruka ryba řeka sníh sobota strom světlo škola tepl ústa
    víno vlak voda vůz zima zpívat žába život
    """,
    "fi": """
    aamu aika aurinko hyvä ikkuna ilma isä joulu järvi kala kaupunki kello kesä kirja koira
    koulu kumpi kuppi kynä kylmä lamppu lapsi leipä lintu loppu lumi lämpö maa maito meri metsä
    minä mummo musiikki nimi nyt omena ovi paha paita papu perhe pieni pimeä poika puhua puu
    pyörä pää päivä saippua silmä suomi suu talo talvi tyttö tuuli uida uusi vapaa vesi viime
    vuosi ympäri yö äiti öljy
    """,
    "el": """
    αγάπη άνθρωπος αυτός βιβλίο βουνό βράδυ βροχή γάλα γάτα γυναίκα δέντρο δρόμος εβδομάδα
    ευχαριστώ ζωή ήλιος θάλασσα καλημέρα καρδιά κεφάλι κόσμος κουμπί λάμπα λεμόνι λόγος μάτι
    μαμά μεγάλος μέλι μέρα μικρός μουσική μπαμπάς μπάλα μπλε νερό νύχτα όμορφος όνομα ουρανός
    παιδί πόδι πόλη πόρτα ποτάμι πουλί πρωί σπίτι στόμα τραπέζι φίλος φως φωνή χέρι χιόνι ψάρι
    ψωμί ώρα
    """,
    "id": """
    air anak api apa ayam baca bagus baik baju banyak baru batu bawah beli besar biru buah buku
    bulan bumi bunga burung cepat coba dapur depan empat gambar gunung hari hujan ibu ikan jalan
    jembatan kabut kamar kapal kepala kopi kucing lampu langit laut lebih lembut malam mama mata
    meja membaca mimpi minum mobil mulut musim nama nyaman obat orang pagi pantai papan pasar
    payung pergi perempuan pintu pohon pulau putih roti rumah sabtu sampai sapi selamat sumber
    sungai tempat tumbuh ubi umum warna
    """,
    "sw": """
    asubuhi baba babu bahari baridi barua bibi bora chakula dada embe fupi habari hapa jambo
    jembe jumba kahawa kalamu kesho kitabu kubwa kuku kupika lima maji mama mamba mbali mbele
    mboga mbwa mchana mdomo mkate mlima moja moto mpira mpya mti mvua mwalimu mwezi mzee ndege
    nyumba nyota ombi paka pamba pamoja papa pembe pesa pole pumzika rafiki safari samaki sana
    shamba simba soko tembo tumbo ubao ukuta upepo usiku vuka wimbo yai
    """,
    "ja": """
    あさ あたま あめ いぬ うみ えき おはよう おもしろい かばん かみ きのう くも
    けむり こども さかな さんぽ しんぶん すばらしい せんぱい そば たべもの ちゃわん
    つばめ てんぷら とけい なまえ にほん ねむい のみもの はな ばんごはん ひこうき
    びょういん ふね ぶどう へや べんきょう ほし ぼうし まど みみ むし めがね もも
    やま ゆび よる らっぱ りんご ろうそく わたし えんぴつ きっぷ しんぱい パン ピアノ
    プール ペン ポスト バス ビル ボール カメラ メロン ミルク
    """,
    "cmn-latn-pinyin": """
    baba mama pengyou pingguo mianbao mifan mingtian beijing baise buyao paobu piaoliang pianyi
    putong mashang maojin meili meitian menkou maomi mubiao fumu feiji fangbian fangzi fengjing
    women wanshang wenhua wubai xuexiao laoshi dianying dianhua shijian shenme xihuan yinyue
    chifan heshui shubao baozhi bangmang baobei bayue paizhao pingan putao mimi mingzi yusan
    yueliang xingqi lvyou lvse nvren
    """,
    "ar": """
    باب بيت بحر بلد بنت برتقال أب أم ماء مدينة مدرسة مكتب مطر مفتاح معلم ملك موز نوم نهر نور قلب
    قلم قمر كتاب كلب كبير كلام لبن ليل لون يوم يد وقت ورق وجه ولد هواء فم فيل فرح عام عين عمل
    شمس شباك شراب سماء سمك سلام زيت رمل رجل خبز حب حليب جبل جميل تفاح تمر بطيخ صباح مساء
    """,
}
# Variants of spelling and sound that share another language's words.
ACCENTS = {
    "en-gb-scotland": "en-us", "en-gb-x-rp": "en-us", "en-029": "en-us",
    "es-419": "es", "pt-br": "pt", "fr-ch": "fr",
}  # fmt: skip
# Their spelling says every letter, so made-up words come out as written.
SPELT_AS_SAID = ("it", "id", "fi", "es", "sw", "tr")
LANGUAGES = (*WORDS, *ACCENTS)
_ONSETS = "p p p b b b m m m f v t d k g s l r n w h j z ch sh".split()  # noqa: SIM905
_VOWELS = "a a a e i i o u u".split()  # noqa: SIM905
_CODAS = ["", "", "", "", "m", "n", "p", "l", "r", "s", "t", "k", "mp"]


def _made_up(rng: np.random.Generator) -> str:
    syllables = rng.integers(1, 5)
    parts = [f"{rng.choice(_ONSETS)}{rng.choice(_VOWELS)}" for _ in range(syllables)]
    return "".join(parts) + str(rng.choice(_CODAS))


def sentence(language: str, rng: np.random.Generator) -> str:
    """Three to nine words, a comma now and then; a fifth are made up where spelling allows."""
    words = WORDS[ACCENTS.get(language, language)].split()
    count = int(rng.integers(3, 10))
    made_up = language in SPELT_AS_SAID and rng.random() < 0.4
    chosen = [_made_up(rng) if made_up else str(rng.choice(words)) for _ in range(count)]
    pause = int(rng.integers(1, 2 * count))
    if pause < count - 1:
        chosen[pause] += ","
    return " ".join(chosen) + str(rng.choice([".", "?", "!"]))

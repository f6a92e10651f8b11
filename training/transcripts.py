"""What the real recordings say that the sound side may learn from: the rest of LJ Speech's first
pages (a reading of Morris and Walker's "Printing", 1893), LibriSpeech and Kennedy's address.
"""

LJSPEECH = {
    "LJ001-0009": """printing then for our purpose may be considered as the art of making books by
        means of movable types""",
    "LJ001-0010": """now as all books not primarily intended as picture books consist principally
        of types composed to form letterpress""",
    "LJ001-0011": "it is of the first importance that the letter used should be fine in form",
    "LJ001-0012": """especially as no more time is occupied or cost incurred in casting setting or
        printing beautiful letters""",
    "LJ001-0013": "than in the same operations with ugly ones",
    "LJ001-0014": """and it was a matter of course that in the middle ages when the craftsmen took
        care that beautiful form should always be a part of their productions whatever they were""",
    "LJ001-0015": """the forms of printed letters should be beautiful and that their arrangement on
        the page should be reasonable and a help to the shapeliness of the letters themselves""",
    "LJ001-0016": """the middle ages brought calligraphy to perfection and it was natural
        therefore""",
    "LJ001-0017": """that the forms of printed letters should follow more or less closely those of
        the written character and they followed them very closely""",
    "LJ001-0018": """the first books were printed in black letter i e the letter which was a gothic
        development of the ancient roman character""",
    "LJ001-0019": """and which developed more completely and satisfactorily on the side of the lower
        case than the capital letters""",
    "LJ001-0020": "the lower case being in fact invented in the early middle ages",
    "LJ001-0021": """the earliest book printed with movable type the aforesaid gutenberg bible is
        printed in letters which are an exact imitation""",
    "LJ001-0022": """of the more formal ecclesiastical writing which obtained at that time this has
        since been called missal type""",
    "LJ001-0023": """and was in fact the kind of letter used in the many splendid missals psalters
        etcetera produced by printing in the fifteenth century""",
    "LJ001-0024": """but the first bible actually dated which also was printed at maintz by peter
        schoeffer in the year fourteen sixty two""",
    "LJ001-0025": """imitates a much freer hand simpler rounder and less spiky and therefore far
        pleasanter and easier to read""",
    "LJ001-0026": """on the whole the type of this book may be considered the ne plus ultra of
        gothic type""",
    "LJ001-0027": """especially as regards the lower case letters and type very similar was used
        during the next fifteen or twenty years not only by schoeffer""",
    "LJ001-0028": "but by printers in strasburg basle paris lubeck and other cities",
    "LJ001-0029": "but though on the whole except in italy gothic letter was most often used",
    "LJ001-0030": """a very few years saw the birth of roman character not only in italy but in
        germany and france""",
    "LJ001-0031": """in fourteen sixty five sweynheim and pannartz began printing in the monastery
        of subiaco near rome""",
    "LJ001-0032": """and used an exceedingly beautiful type which is indeed to look at a transition
        between gothic and roman""",
}
OTHERS = {
    "librispeech/61-70968-0000.flac": """he began a confused complaint against the wizard who had
        vanished behind the curtain on the left""",
    "public_domain/jfk_1961_inaugural.flac": """and so my fellow americans ask not what your country
        can do for you ask what you can do for your country""",
}
# What pocketsphinx's dictionary lacks.
SPOKEN_AS = {
    "woodcutters": "W UH D K AH T ER Z",
    "shapeliness": "SH EY P L IY N AH S",
    "missals": "M IH S AH L Z",
    "maintz": "M AY N T S",
    "schoeffer": "SH EH F ER",
    "sweynheim": "S W EY N HH AY M",
    "pannartz": "P AE N AA R T S",
    "subiaco": "S UW B IY AA K OW",
}

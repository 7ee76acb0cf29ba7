"""Is a message in a language that a character does not speak? By its writing, and by a few common words. Pure.

Knows the writing of some forty languages, and the everyday words of ten that share the Latin one. Of a word or two, or
a language that it does not know, it says nothing.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from personas import languages

LEAST = 3  # common words of another language that must fall
FEW = 2  # so many are enough if they are most of the message; and so many more than of those that are spoken it must be
_WRITING = {
    "ru": "CYRILLIC", "uk": "CYRILLIC", "bg": "CYRILLIC", "sr": "CYRILLIC LATIN", "el": "GREEK", "he": "HEBREW",
    "yi": "HEBREW", "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "hi": "DEVANAGARI", "mr": "DEVANAGARI",
    "ne": "DEVANAGARI", "bn": "BENGALI", "ta": "TAMIL", "te": "TELUGU", "th": "THAI", "lo": "LAO", "ka": "GEORGIAN",
    "hy": "ARMENIAN", "am": "ETHIOPIC", "km": "KHMER", "zh": "CJK", "ja": "CJK HIRAGANA KATAKANA", "ko": "HANGUL",
}  # fmt: skip
_COMMON = {  # without accents, which people leave out
    "en": "the a an and or but so if you your i me my mine we us our he him his she her it its they them their is are "
    "am was were be been what who whose how why when where which do does did done have has had can could will "
    "would shall should may might must not no yes to of in on at by for from with without about into over out "
    "up off as than that this these those there here now then today tomorrow yesterday very too just only also "
    "all any some more much many good great nice like love want need know think say said tell told make made go "
    "going gone come came get got let see saw look take give help talk hi hello hey thanks thank please time "
    "day night morning one two man old bad hot new don didn isn won im ive dont thats whats ll ve re s t d m "
    "name people work home really sure okay ok play sleep eat feel well still back never always",
    "de": "der die das den dem des ein eine einen einem einer und oder aber ich du er sie es wir ihr mich dich uns "
    "mir dir ihm ihnen mein meine dein deine sein seine euch ist bin bist sind seid war warst habe hast hat "
    "haben hatte wird werden wie was wer wo wann warum wieso woher wohin welche nicht kein keine auch noch "
    "schon nur sehr mal ja nein doch denn zu zum zur mit von vom fur fuer auf aus bei nach uber im am um ab "
    "ohne heute morgen gestern jetzt hier dort immer wieder viel alles etwas nichts kann kannst konnen will "
    "willst mochte mochtest muss magst mag macht machst mache machen gibt gehst geht gehen kommst kommt weisst "
    "weiss heisst heisse wohnst hunger mude gut gute guten danke bitte hallo tag abend nacht uhr spat dass weil "
    "wenn sag erzahl helfen hilf in an wohne geschwister keinen kostet lass schlaf ahnung leute arbeit freund "
    "spielen essen schlafen freut leid klar stimmt genau vielleicht bisschen kennst kenne glaube denke hause "
    "vielen",
    "fr": "le la les un une des du de et ou mais je j tu il elle on nous vous ils elles me te se moi toi mon ma mes "
    "ton ta tes son sa ses notre votre ce cet cette ces ca est es suis sommes etes sont ai as avez avons ont "
    "etait fais fait faire faites va vas allez vais peux peut pouvez veux veut voulez sais sait savez dis dit "
    "parle aime aimes habites appelles que qu qui quoi quel quelle quels quelles comment quand pourquoi combien "
    "pas ne plus jamais rien dans avec sans pour sur sous chez au aux tres bien bon bonne bonjour bonsoir salut "
    "merci oui non aujourd hui demain hier maintenant ici heure temps soir faim fatigue plait joli aider c l m "
    "d s t n appelle nuit raconte joue comprends pense crois connais mange dors travail maison petit "
    "peu alors aussi parce accord vraiment",
    "es": "el la los las un una unos unas y o pero yo tu ella usted nosotros ustedes me te se le lo nos mi mis su sus "
    "es eres soy son somos esta estas estoy estan estamos era ha has he hay tiene tienes tengo haces hace hacer "
    "hago va vas voy ir puede puedes puedo quiere quieres quiero sabe sabes dime vives gusta gustan llamas "
    "llamo que como quien quienes cual cuando donde cuanto cuantos cuantas por porque para con sin en de del al "
    "no si muy mucho mucha bien bueno buenos buena buenas hola gracias favor hoy ayer manana ahora aqui mas "
    "nada todo algo este esto eso tal dias tarde noches hora anos hambre ayudar ayudame comer dormir entiendo "
    "cuenta cuentame hasta nombre creo pienso conoces trabajo amigo amigos entonces tambien verdad vamos "
    "quisiera ninguno buen",
    "it": "il lo la i gli le un uno una e o ma io tu lui lei noi voi mi ti ci vi mio mia tuo tua suo sua sono sei "
    "siamo siete era ho hai ha abbiamo avete hanno fai fa fare fate faccio va vai vado puoi puo posso vuoi "
    "vuole voglio sai so stai sta sto abiti chiami piace dimmi che chi cosa come dove quando perche quanto "
    "quanti quale quali non si no di a da in con su per tra del della dello dei delle nel nella al alla questo "
    "questa questi quello molto bene buono bello buongiorno buonasera ciao grazie prego oggi domani ieri "
    "stasera adesso ora ore qui piu niente tutto anni fame stanco aiutare aiutarmi chiamo buonanotte racconta "
    "raccontami capisco mangi mangiare dormire credo penso conosci lavoro amico amici allora anche vero "
    "andiamo fratelli annoiato annoiata davvero fatto",
    "pt": "o a os as um uma e ou mas eu tu voce voces ele ela nos me te se meu minha teu tua seu sua isso isto esse "
    "essa este esta sou somos sao estas estou estao foi era tem tens tenho ha faz fazes fazer fazendo vai vais "
    "vou pode podes posso quer queres quero sabe sabes sei mora gosta chama diz que quem qual quando como onde "
    "porque quanto quantos por para com sem em no na nas de do da dos das ao nao sim muito muita bem bom boa "
    "tudo nada mais ola oi obrigado obrigada hoje amanha ontem agora aqui dia noite tarde horas anos fome "
    "ajudar nome conte entendo ate comer dormir acho penso conhece trabalho amigo amigos entao tambem "
    "verdade vamos irmaos gostaria",
    "nl": "de het een en of maar ik jij je hij zij ze wij we jullie u mij me jou hem haar ons onze mijn jouw zijn is "
    "ben bent was waren heb hebt heeft hebben wat wie waar wanneer waarom hoe welke niet geen ook nog al wel "
    "met van voor naar op in uit bij om te aan over door heel erg veel iets niets alles eens goed goede "
    "goedemorgen goedenavond dag avond hallo hoi dank bedankt alsjeblieft vandaag gisteren morgen nu hier daar "
    "dit dat deze die er kan kun kunt wil wilt moet mag doe doet doen ga gaat gaan weet vind vindt hou houdt "
    "heet kom komt woon woont zeg vertel laat uur moe honger helpen help tot slaap slapen eten eet begrijp "
    "verveel lekker leuk mooi denk ken huis werk vriend vrienden misschien toch want omdat welterusten zo",
    "sv": "och jag du är inte hur vad en ett med för på min din var det att som",
    "pl": "i ja ty jest nie jak co to z w na się mój gdzie do czy mam jestem",
    "tr": "ve ben sen bir bu ne değil mi için ile var yok nerede çok",
}  # fmt: skip
# In names, too, and so no sign of a language in a few words: Oscar de la Renta, Vincent van der Berg.
_IN_NAMES = (
    "de la le les el los las der die das den des du da do dos del di della van von het en y e al san mi don con sa ha "
    "uno per se"
)


def _bare(text: str) -> str:
    """In small letters without accents."""
    return "".join(one for one in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(one))


_WORDS = {code: frozenset(_bare(words).split()) for code, words in _COMMON.items()}
_NO_SIGN = frozenset(_IN_NAMES.split())


def foreign(text: str, spoken: Sequence[str]) -> bool:
    """Is this in none of the languages that are `spoken`, such as `en` or `pt-BR`? Without any, nothing is foreign."""
    codes = {language.casefold().partition("-")[0] for language in spoken}
    letters = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha())
    if not codes or letters.total() < LEAST:
        return False
    writing, count = letters.most_common(1)[0]
    if count > letters.total() * 0.6 and writing not in {name for code in codes for name in _written(code)}:
        return True
    return writing == "LATIN" and _sounds_foreign(text, codes)


def _written(code: str) -> list[str]:
    return _WRITING.get(code, "LATIN").split()


def _sounds_foreign(text: str, codes: set[str]) -> bool:
    """Do more common words of another language fall than of those that are spoken? One that is not known here may be
    what is spoken, so then nothing is."""
    if not codes & set(_WORDS):
        return False
    words = re.findall(r"[^\W\d_]+", _bare(text))
    hits = {code: sum(word in known for word in words) for code, known in _WORDS.items()}
    best = max(hits, key=hits.__getitem__)
    ours = max(hits[code] for code in codes if code in hits)
    if best in codes or hits[best] < ours + FEW:
        return False
    said = _WORDS[best].intersection(words)
    few = len(said) >= FEW and len(said) >= len(set(words)) / 2 and bool(said - _NO_SIGN)
    return few or (hits[best] >= LEAST and hits[best] >= len(words) * 0.2)


def names(spoken: Sequence[str]) -> str:
    """Languages as people call them: `English and French`."""
    called = [languages.name(language) for language in spoken]
    return " and ".join([", ".join(called[:-1]), called[-1]]) if len(called) > 1 else "".join(called)

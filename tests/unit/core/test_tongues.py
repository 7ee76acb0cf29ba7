"""core/tongues.py: what is in a language that is not spoken, and what only looks so."""

import pytest

from core.tongues import foreign, names


@pytest.mark.parametrize(
    ("text", "spoken", "expected"),
    [
        ("Wie geht es dir, und was ist das für ein Schiff?", ["en"], True),
        ("Wie geht es dir, und was ist das für ein Schiff?", ["en", "de"], False),
        ("Comment est-ce que tu vas, et que fais-tu dans la vie?", ["en"], True),
        ("¿Cómo está el tiempo y qué haces con los barcos?", ["en"], True),
        ("как дела, капитан?", ["en"], True),
        ("как дела, капитан?", ["ru"], False),
        ("お元気ですか", ["en"], True),
        ("お元気ですか", ["ja"], False),
        ("How are you, and what do you do?", ["de"], True),
        ("How are you, and what do you do?", ["en-GB"], False),
        ("How are you, and what do you do?", [], False),
        ("I read Der Spiegel and Le Monde in the morning", ["en"], False),
        ("Danke!", ["en"], False),
        ("ok", ["en"], False),
        ("🌊🌊🌊 1234 !?", ["en"], False),
        ("", ["en"], False),
        ("Hoe gaat het met je en waar ben je van?", ["fi"], False),
    ],
)
def test_what_is_not_spoken_is_known(text: str, spoken: list[str], expected: bool):
    """By its writing or by several of its commonest words; a name or a word of thanks makes nothing foreign."""
    assert expected == foreign(text, spoken)


def test_languages_are_called_by_their_names():
    """What is not known by name stays as the card has it."""
    assert ["English", "English and French", "English, German and Klingon"] == [
        names(spoken) for spoken in (["en"], ["en", "fr"], ["en", "de-AT", "Klingon"])
    ]


EVERYDAY = {
    "de": [
        "Wie geht es dir heute", "Was machst du gerade?", "Wo wohnst du?", "Wer bist du?", "Hast du Hunger?",
        "Wie heißt du?", "Kannst du mir helfen?", "Ich bin müde", "Guten Morgen, wie spät ist es?",
        "Erzähl mir etwas über dich", "Das ist sehr schön", "Wann kommst du wieder?",
    ],
    "fr": [
        "Comment ça va aujourd'hui ?", "Qui es-tu ?", "Tu fais quoi ce soir ?", "Quelle heure est-il ?",
        "Où habites-tu ?", "Je suis fatigué", "Tu peux m'aider ?", "J'ai faim", "C'est très joli",
        "Pourquoi tu ne dis rien ?", "Parle-moi de ta famille", "Quel temps fait-il chez toi ?",
    ],
    "es": [
        "¿Cómo estás hoy?", "Como estas", "¿Quién eres?", "¿Qué haces ahora?", "¿Dónde vives?", "Tengo mucha hambre",
        "¿Puedes ayudarme con esto?", "Estoy muy cansado", "¿Cuántos años tienes?", "Buenos días, ¿qué tal?",
        "No sé qué hacer", "¿Qué hora es?",
    ],
    "it": [
        "Come stai oggi?", "Chi sei?", "Cosa fai stasera?", "Dove abiti?", "Quanti anni hai?", "Che ore sono?",
        "Mi puoi aiutare?", "Sono molto stanco", "Buongiorno, come va?", "Non so cosa fare", "Ho fame", "Che bello!",
    ],
    "nl": [
        "Hoe gaat het met je?", "Wie ben jij?", "Wat doe je vandaag?", "Waar woon je?", "Hoe laat is het?",
        "Kun je mij helpen?", "Ik ben moe", "Heb je honger?", "Goedemorgen, hoe is het?",
        "Vertel eens iets over jezelf",        "Ik weet het niet", "Wanneer kom je terug?",
    ],
    "pt": [
        "Como você está hoje?", "Quem é você?", "O que você está fazendo?", "Onde você mora?", "Que horas são?",
        "Você pode me ajudar?", "Estou muito cansado", "Bom dia, tudo bem?", "Não sei o que fazer",
        "Quantos anos você tem?", "Eu tenho fome", "Por que não me responde?",
    ],
}  # fmt: skip
ENGLISH = [
    "How are you today", "How are you?", "Who are you?", "What time is it?", "Where do you live?", "I am so tired",
    "Can you help me?", "What's up?", "Come on!", "No way, Jose", "Is he in?", "Tell me a story", "We met at the bar",
    "Are you hungry?", "Good morning!", "Do you like Los Angeles?", "La La Land is great", "Oscar de la Renta",
    "I saw Das Boot", "Have you read Don Quixote de la Mancha?", "Die Hard is on", "Nice to meet you",
    "Was it an old war?", "Hot or not", "Was war so bad?", "Van Gogh", "The van is here", "Me too", "Ha ha", "Hi Mia",
    "Sei whale or blue whale?", "Son, pour me some tea", "Let's go to Rio de Janeiro", "Per se", "Is dat so",
    "Vincent van der Berg", "my man", "Arr, ye be late", "A la carte", "Do as I say", "Sine die", "Con man",
    "Che Guevara", "El Niño", "I do", "So what?", "Al Capone", "Chi Chi", "Uno", "Hallo", "Mi casa",
    "One tu whit, one tu whoo",
]  # fmt: skip


@pytest.mark.parametrize(("language", "text"), [(code, text) for code, texts in EVERYDAY.items() for text in texts])
def test_a_short_everyday_sentence_is_known_by_its_language(language: str, text: str):
    """In a character that speaks English alone it is foreign, and in one that speaks the language it is not."""
    assert (True, False, False) == tuple(foreign(text, spoken) for spoken in (["en"], [language], ["en", language]))


@pytest.mark.parametrize("text", ENGLISH)
def test_english_stays_english(text: str):
    """However short it is, and whichever names and borrowed words are in it."""
    assert not foreign(text, ["en"])

"""Words in names of files and folders that tell what they are."""

import re
from collections.abc import Iterable


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


CAMERA = _words(
    "c cam cams camera cameras cctv webcam view angle kamera cámara camara caméra",
    "fotocamera камера カメラ 相机 摄像机 摄像头 카메라",
    "gate door doors entrance entry exit hall hallway lobby corridor stairs lift",
    "elevator street garage parking yard park office shop front back side left right",
    "north south east west inside outside indoor outdoor tür eingang ausgang flur",
    "porte entrée sortie couloir puerta entrada salida pasillo",
    "入口 出口 玄関 廊下 門 门 正門 裏門 大厅 走廊",
)
CLOTHES = _words(
    "o cl outfit outfits clothes clothing cloth suit suits dress coat jacket shirt",
    "tshirt jeans skirt hoodie sweater jumper pullover uniform trousers pants shorts",
    "look wear garment summer winter spring autumn red blue green black white grey",
    "gray yellow brown orange pink purple beige kleidung jacke mantel rot blau grün",
    "schwarz weiß ropa rojo azul verde negro blanco tenue veste manteau rouge bleu",
    "vert noir blanc 服 服装 衣服 衣装 上着 コート 夏服 冬服 制服",
    "赤 青 緑 黒 白 红 蓝 绿 黑",
)
PERSON = _words(
    "p pid id person persons people subject subj identity name persona personne",
    "mensch человек 人 人物 氏名 사람",
)
SPLITS = _words(
    "train training test testing val valid validation query gallery probe images",
    "image imgs img photos photo pictures pics data dataset frames crops dcim rgb",
    "bounding_box_train bounding_box_test",
)
_LETTERS = re.compile(r"[^\W\d_]+")


def share(values: Iterable[str], words: frozenset[str]) -> float:
    """Share of the values that are, or have among their words, one of `words`."""
    hits = [
        value.casefold() in words
        or any(part in words for part in _LETTERS.findall(value.casefold()))
        for value in values
    ]
    return sum(hits) / len(hits)

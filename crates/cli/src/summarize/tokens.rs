//! How many tokens a text comes to: counted by the model's own tokenizer where that is here, estimated where it is not.
//!
//! The estimate is for models whose tokenizer nobody has told us. It is meant to be too high rather than too low, since a
//! part that is too long is refused, or worse, silently cut by some servers, and one that is too short costs little. It adds
//! up: the estimate of a text is no more than that of its pieces.

/// A text's tokens, estimated from its characters: about half as many again as today's large vocabularies make of English
/// prose or code, and no fewer than they make of any other text that was tried.
pub(crate) fn estimate(text: &str) -> usize {
    let sixtieths: usize = text.chars().map(weight).sum();
    sixtieths.div_ceil(60)
}

/// A character's weight, in sixtieths of a token.
fn weight(c: char) -> usize {
    match c {
        'a'..='z' | 'A'..='Z' | ' ' => 22,
        '0'..='9' => 60,
        c if c.is_ascii() => 50,
        // Latin with marks, Greek, Cyrillic, Hebrew, Arabic.
        '\u{80}'..='\u{7ff}' => 50,
        // Kana, ideographs and Hangul.
        '\u{3000}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff00}'..='\u{ffef}' => 110,
        // The scripts of South and East Asia, and symbols.
        '\u{800}'..='\u{ffff}' => 90,
        _ => 180,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_the_safe_side_of_counts_that_are_known() {
        // Counted with o200k_base and cl100k_base (gpt-tokenizer 4.0.0); the larger of both.
        for (text, counted) in [
            (
                "The keeper of the lighthouse climbed the stairs every evening, lit the lamp, and wrote the weather into a book.",
                24,
            ),
            (
                "守灯人每天傍晚爬上楼梯，点亮灯，把天气写进一本册子里。雪停了以后，他推开门，看见院子里一片白。",
                62,
            ),
            ("守燈人每天傍晚爬上樓梯，點亮燈，把天氣寫進一本冊子裡。", 48),
            (
                "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。",
                78,
            ),
            (
                "등대지기는 매일 저녁 계단을 올라가 등불을 켜고 날씨를 책에 적었다.",
                44,
            ),
            (
                "Смотритель маяка каждый вечер поднимался по лестнице, зажигал лампу и записывал погоду в книгу.",
                45,
            ),
            (
                "Der Leuchtturmwärter stieg jeden Abend die Treppe hinauf, zündete die Lampe an und schrieb das Wetter in ein Buch.",
                38,
            ),
            (
                "صعد حارس المنارة الدرج كل مساء وأشعل المصباح وكتب حالة الطقس في كتاب.",
                45,
            ),
            (
                "प्रकाशस्तंभ का रखवाला हर शाम सीढ़ियाँ चढ़ता, दीपक जलाता और मौसम को एक किताब में लिखता था।",
                91,
            ),
            ("ผู้ดูแลประภาคารปีนบันไดทุกเย็น จุดตะเกียง และเขียนสภาพอากาศลงในสมุด", 66),
            ("3.14159 2026-11-28T19:06:27Z 0x7f3a 192.168.1.1 1,234,567.89", 41),
        ] {
            let estimated = estimate(text);
            assert!(estimated >= counted, "{estimated} < {counted}: {text}");
            assert!(estimated <= counted * 2, "{estimated} > 2 * {counted}: {text}");
        }
    }
}

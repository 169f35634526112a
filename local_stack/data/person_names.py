"""Random names, as mixed as a large product's users."""

from __future__ import annotations

import numpy as np

_FIRST = """
Aaliyah Aarav Adam Adaeze Agnes Ahmed Aiko Aisha Akira Alba Alejandro Alice Alma Amara Amelia Amina Amir Ana Anders
Andrea Anika Ann Anna Antonio Anya Arjun Arthur Asha Astrid Ava Ayla Aylin Beatriz Ben Bianca Bilal Björn Bruno Camila
Carla Carlos Carmen Cecilia Chen Chiara Chidi Chloé Claire Clara Daan Daniel Daria David Diego Dina Diya Dmitri Eduardo
Ekaterina Elena Eleni Eli Elias Elif Elin Ella Emeka Emil Emilia Emily Emma Emre Enzo Erik Esra Esther Eva Eve Fatima
Felix Femi Fernanda Finn Fiona Francesca Freya Gabriel George Giulia Goran Grace Gustav Habiba Hana Hannah Hans Haruto
Hassan Helena Henry Hiroshi Hugo Ibrahim Ida Ines Ingrid Irina Isaac Isabel Isla Ivan Jack Jakub Jamal James Jana Jane
Jasmine Javier Jin João Johan Jonas José Juan Julia Kai Karim Katarzyna Kavya Keiko Kenji Kofi Kwame Lara Lars Laura
Layla Leah Lena Leo Leila Liam Lin Lina Linh Linnea Lior Lucas Lucia Luis Luna Maja Malik Manuel Marco Maria Mariana
Marie Marta Mateo Matilda Maya Mehmet Mei Mia Michał Miguel Mila Min Mohammed Mona Nadia Naomi Natalia Neha Nia Nikhil
Nikola Nina Noah Noor Nora Nour Olga Oliver Olivia Omar Oscar Pablo Paula Pedro Petra Pia Pierre Priya Rachel Rahul
Raj Rania Ravi Rebecca Ren Ricardo Rin Robin Rohan Rosa Ruth Ryan Saanvi Sakura Salma Sam Samira Samuel Sana Sanjay Sara
Sebastian Selin Sergei Shira Simon Sina Sofia Soren Stella Sunita Sven Tamar Tara Tariq Thandi Theo Thomas Tomás Uma
Valentina Vera Victor Vikram Wei William Yael Yara Yasmin Youssef Yuki Yusuf Zahra Zara Zeynep Zoe Zofia
"""

_LAST = """
Abebe Achterberg Adeyemi Agarwal Ahmed Akhtar Ali Almeida Andersen Andersson Aoki Araujo Arslan Bakker Balogun Banerjee
Barbosa Bauer Becker Berg Bergström Bernard Bianchi Boateng Brown Carter Castro Celik Chan Chanda Chatterjee Chen Cheng
Choi Chowdhury Christensen Clark Cohen Costa Cruz Da_Silva Dahl Das Davies Delgado Demir Desai Diallo Diaz Dubois Eriksen
Evans Farah Fernandes Fernández Ferrari Fischer Flores Fontaine Foster Friedman Fujita Garcia Ghosh Goldberg Gomez Gonzalez
Green Gupta Gutiérrez Haddad Hall Hansen Hashimoto Hassan Herrera Hoffmann Horvat Huang Hughes Hussein Ibrahim Inoue
Ito Ivanova Iyer Jackson Jansen Jensen Jiménez Johansson Johnson Jones Joshi Kamara Kaplan Karlsson Kato Kaur Kaya
Khan Kim King Kobayashi Koch Kovács Kowalski Kumar Larsen Laurent Lee Levi Lewis Li Lindberg Liu Lopez Luo Ma Mansour
Mariani Marino Martin Martínez Mehta Mendes Mensah Meyer Miller Mohamed Molina Moore Morales Moreau Moretti Mori Moyo
Müller Murphy Mwangi Nair Nakamura Nasser Ndlovu Nguyen Nielsen Nilsson Novak Nowak Nunez O'Brien O'Connor Oduya Okafor
Okonkwo Olsen Ortiz Osei Ozturk Papadopoulos Park Patel Pereira Perez Peters Petrov Phillips Popescu Popov Quispe Rahman
Ramírez Rao Reddy Ricci Rivera Robert Roberts Robinson Rodríguez Romano Rossi Roy Ruiz Sahin Saito Salazar Sánchez Santos
Sato Schmidt Schneider Schulz Scott Sharma Shapiro Silva Simon Singh Smit Smith Sokolov Soto Souza Stein Suzuki Svensson
Takahashi Tan Tanaka Taylor Tesfaye Thomas Thompson Torres Tran Turner Van_Dijk Vargas Vasquez Vega Virtanen Visser
Volkov Wagner Walker Wang Watanabe Weber White Williams Wilson Wong Wood Wright Wu Xu Yamamoto Yang Yıldız Yılmaz Young
Zhang Zhao Zhou Zimmermann Zulu
"""

FIRST, LAST = _FIRST.split(), _LAST.split()


def draw(users: int, rng: np.random.Generator) -> list[str]:
    """A name for each user; names repeat, as they do among real users."""
    first = rng.integers(len(FIRST), size=users).tolist()
    last = rng.integers(len(LAST), size=users).tolist()
    return [f"{FIRST[one]} {LAST[other].replace('_', ' ')}" for one, other in zip(first, last, strict=True)]
